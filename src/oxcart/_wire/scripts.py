"""The Lua scripts: read once, fragments joined, bindings checked, SHA computed.

A script file binds every key and argument to a name at its head (``local wait_key = KEYS[1]``) and
reads ``KEYS`` and ``ARGV`` nowhere else. Lists of any length are read from ``ARGV`` through the
binding ``local argv = ARGV``.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from oxcart.errors import WireError

_INCLUDE = re.compile(r'^--- @include "(lib/[a-z_]+)"$', re.MULTILINE)
_BINDING = re.compile(r"^local (\w+) = (KEYS|ARGV)\[(\d+)\]", re.MULTILINE)
_WHOLE_ARGV = re.compile(r"^local argv = ARGV\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """A script as the server runs it.

    Attributes:
        name: its file's name.
        text: its source, fragments included.
        sha: how the server knows it.
        key_names: its keys, in order.
        arg_names: its single arguments, in order; a list may follow.
    """

    name: str
    text: str
    sha: str
    key_names: tuple[str, ...]
    arg_names: tuple[str, ...]

    @property
    def key_count(self) -> int:
        """How many keys the script takes."""
        return len(self.key_names)


@cache
def load(name: str) -> Script:
    """Read a script by its file's name.

    Raises:
        WireError: its bindings have holes, or it reads ``KEYS`` or ``ARGV`` elsewhere.
    """
    source = _read(name)
    keys, args = _bindings(name, source, "KEYS"), _bindings(name, source, "ARGV")
    rest = _WHOLE_ARGV.sub("", _BINDING.sub("", source))
    stray = [line for line in rest.splitlines() if _reads_arguments(line)]
    if stray:
        raise WireError(
            f"script {name} reads KEYS or ARGV outside its bindings: {stray[0].strip()}"
        )
    text = _join(source)
    digest = hashlib.sha1(text.encode(), usedforsecurity=False)  # names the script, as Redis does
    return Script(name, text, digest.hexdigest(), keys, args)


def _read(name: str) -> str:
    return (files("oxcart._wire") / "lua" / f"{name}.lua").read_text(encoding="utf-8")


def _join(source: str) -> str:
    return _INCLUDE.sub(lambda match: _read(match.group(1)), source)


def _bindings(name: str, source: str, array: str) -> tuple[str, ...]:
    bound = [
        (int(number), word) for word, which, number in _BINDING.findall(source) if which == array
    ]
    if [number for number, _ in bound] != list(range(1, len(bound) + 1)):
        raise WireError(f"script {name} binds {array} with holes or out of order")
    return tuple(word for _, word in bound)


def _reads_arguments(line: str) -> bool:
    code = line.split("--", 1)[0]
    return "KEYS" in code or "ARGV" in code
