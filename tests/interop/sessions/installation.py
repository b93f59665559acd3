"""NextAuth's packages and the Node programs that use them, installed once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.interop.live import runtime

SOURCE = Path(__file__).parent / "node"
CACHE = Path(__file__).parents[3] / ".cache" / "nextauth-node"
PROGRAMS = ("tokens.mjs", "site.mjs", "jwt.mjs")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenOrder:
    """A token to be made by ``encode`` of one major.

    Attributes:
        name: what to call it.
        major: 4 or 5.
        secret: the site's secret.
        claims: what the token says.
        salt: the cookie's name; counts in version 5 only.
        max_age: seconds until it expires.
    """

    name: str
    major: int
    secret: str
    claims: dict[str, Any]
    salt: str = ""
    max_age: int = 3600


@dataclass(frozen=True, slots=True)
class NodeHome:
    """The folder that has the programs and their packages, and the Node that runs them."""

    node: str
    folder: Path

    def make_tokens(self, orders: Iterable[TokenOrder]) -> dict[str, str]:
        """Make session tokens; gives them by name."""
        wanted = [
            {
                "name": order.name,
                "major": order.major,
                "secret": order.secret,
                "claims": order.claims,
                "salt": order.salt,
                "maxAge": order.max_age,
            }
            for order in orders
        ]
        tokens: dict[str, str] = self.run("tokens.mjs", wanted)
        return tokens

    def run(self, program: str, given: object) -> Any:
        """Run a program with JSON; gives the JSON that it prints."""
        done = subprocess.run(
            [self.node, self.folder / program],
            input=json.dumps(given),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return json.loads(done.stdout)


def install() -> NodeHome:
    """Install the packages where they are missing.

    Raises:
        RuntimeMissing: Node is missing, or npm could not install them here.
    """
    node = runtime.find_node()
    home = runtime.install(node, SOURCE, CACHE)
    for name in PROGRAMS:
        # The packages are found from where the program stands. Other processes may read it now.
        aside = home / f"{name}.{os.getpid()}"
        shutil.copyfile(SOURCE / name, aside)
        aside.replace(home / name)
    return NodeHome(node.program, home)
