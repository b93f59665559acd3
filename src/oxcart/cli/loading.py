"""Finding a user's application by its import path."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from oxcart.app import App
from oxcart.errors import ConfigError


def load_app(path: str) -> App:
    """Import an application.

    Args:
        path: ``module:attribute``; without the attribute ``app``. Modules of the working directory
            are found.

    Raises:
        ConfigError: there is no such module or attribute, or it is no ``App``.
    """
    module_name, _, attribute = path.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise  # something that the application itself imports
        raise ConfigError(f"there is no module {module_name!r} (of {path!r})") from error
    app = getattr(module, attribute or "app", None)
    if not isinstance(app, App):
        raise ConfigError(f"{path!r} names no oxcart.App; write it as module:attribute")
    return app
