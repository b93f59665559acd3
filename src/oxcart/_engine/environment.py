"""Environment variables that every program honours, the command line and the classes alike.

An argument wins over its variable; a variable that is empty counts as not set.
"""

from __future__ import annotations

import os
from pathlib import Path

from oxcart._model.ids import check_prefix
from oxcart._settings.start_mode import ModeName, read_mode
from oxcart._wire.keys import DEFAULT_PREFIX

DEFAULT_DATA_DIR = ".oxcart"


def variable(name: str) -> str:
    """Return the value of a variable without surrounding spaces; empty if it is not set."""
    return os.environ.get(name, "").strip()


def environment() -> ModeName:
    """Return the mode of the program: ``OXCART_ENV``, or production where ``NODE_ENV`` says so.

    Raises:
        ConfigError: ``OXCART_ENV`` has an unknown value or contradicts ``NODE_ENV``.
    """
    return read_mode(os.environ)


def prefix_or_default(prefix: str | None) -> str:
    """Return the prefix of all keys: the argument, else ``OXCART_PREFIX``, else ``bull``.

    Raises:
        ConfigError: no keys can begin with it.
    """
    return check_prefix(variable("OXCART_PREFIX") or DEFAULT_PREFIX if prefix is None else prefix)


def data_dir_or_default(data_dir: str | os.PathLike[str] | None) -> Path:
    """Return the data folder: the argument, else ``OXCART_DATA_DIR``, else ``.oxcart``."""
    if data_dir is not None:
        return Path(data_dir)
    return Path(variable("OXCART_DATA_DIR") or DEFAULT_DATA_DIR).expanduser()
