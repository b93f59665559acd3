"""The programs of the page about Next.js, as files, and a server that runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.interop.sessions.installation import NodeHome

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "nextjs.md"
SERVER = Path(__file__).parent / "serve.mjs"
FENCE = re.compile(r"^```ts title=\"([^\"]+)\"\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STOP_SECONDS = 10


def write_files(folder: Path) -> list[Path]:
    """Write the page's programs into a folder."""
    files = []
    for name, text in FENCE.findall(PAGE.read_text(encoding="utf-8")):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        files.append(file)
    return files


@contextmanager
def running_handlers(
    node: str, home: NodeHome, folder: Path, *, api_url: str, key: str, secret: str
) -> Iterator[str]:
    """Serve the page's route handlers; gives the URL of the site.

    Args:
        node: a Node that runs TypeScript.
        home: where NextAuth is installed.
        folder: where the page's programs are.
        api_url: the API.
        key: the service key.
        secret: the site's secret.
    """
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(home.folder / "node_modules")
    environment = {
        "PATH": os.environ["PATH"],
        "OXCART_API_URL": api_url,
        "OXCART_SERVICE_KEY": key,
        "NEXTAUTH_SECRET": secret,
    }
    process = subprocess.Popen(
        [node, SERVER, folder], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the server of the handlers ended"
        url: str = json.loads(line)["url"]
        yield url
    finally:
        process.kill()
        process.communicate(timeout=STOP_SECONDS)
