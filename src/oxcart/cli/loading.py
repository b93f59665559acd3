"""Finding a user's application by its import path."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path

import oxcart
from oxcart.app import App
from oxcart.errors import ConfigError

_OXCART = Path(oxcart.__file__).parent
_CONFIG_ERROR = f"{ConfigError.__module__}.{ConfigError.__qualname__}: "


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
        if error.name is not None and module_name.startswith(error.name):
            raise ConfigError(f"there is no module {module_name!r} (of {path!r})") from error
        raise ConfigError(_import_problem(path, error)) from error
    # Whatever the application's own code raises while it is imported is told, not traced.
    except Exception as error:
        raise ConfigError(_import_problem(path, error)) from error
    app = getattr(module, attribute or "app", None)
    if not isinstance(app, App):
        raise ConfigError(f"{path!r} names no oxcart.App; write it as module:attribute")
    return app


def _import_problem(path: str, error: Exception) -> str:
    """Where and why an application cannot be imported: the user's own line, not ours."""
    what = "".join(traceback.format_exception_only(error)).strip()
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _is_machinery(frame.filename)]
    where = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    return f"{path!r} cannot be imported{where}: {what.removeprefix(_CONFIG_ERROR)}"


def _is_machinery(filename: str) -> bool:
    """Whether a frame belongs to the import system or to oxcart, not to the application."""
    return "importlib" in filename or Path(filename).is_relative_to(_OXCART)
