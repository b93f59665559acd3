"""Decides whether a program runs in development, production or test.

``OXCART_ENV`` says so. Where it is not set, ``NODE_ENV=production`` counts as production: the
environment of a Node site that moves to oxcart must not start as development. Other values of
``NODE_ENV`` have no meaning here. The two may not contradict each other in the dangerous direction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast, get_args

from oxcart.errors import ConfigError

ModeName = Literal["development", "production", "test"]

VARIABLE = "OXCART_ENV"
NODE_VARIABLE = "NODE_ENV"
DEFAULT: ModeName = "development"
PRODUCTION: ModeName = "production"


def read_mode(environ: Mapping[str, str]) -> ModeName:
    """Return the mode that an environment asks for.

    Raises:
        ConfigError: ``OXCART_ENV`` has an unknown value or contradicts ``NODE_ENV``.
    """
    if is_decided_by_node(environ):
        return PRODUCTION
    name = environ.get(VARIABLE, "").strip() or DEFAULT
    if name not in get_args(ModeName):
        raise ConfigError(
            f"{VARIABLE} is {name!r}: it must be one of {', '.join(get_args(ModeName))}"
        )
    text = contradiction(environ)
    if text is not None:
        raise ConfigError(f"{VARIABLE} {text}")
    return cast("ModeName", name)


def is_decided_by_node(environ: Mapping[str, str]) -> bool:
    """Return whether this is production only because ``NODE_ENV`` says so."""
    return not environ.get(VARIABLE, "").strip() and _is_node_in_production(environ)


def contradiction(environ: Mapping[str, str]) -> str | None:
    """Return how ``OXCART_ENV`` contradicts ``NODE_ENV``, as what follows its name, or None."""
    name = environ.get(VARIABLE, "").strip()
    if name in ("", PRODUCTION) or not _is_node_in_production(environ):
        return None
    return (
        f"is {name!r}, but {NODE_VARIABLE} is {PRODUCTION!r}: unset {NODE_VARIABLE}, or set "
        f"{VARIABLE} to {PRODUCTION!r} or leave it out; nothing was started"
    )


def without_foreign_mode(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return an environment whose ``NODE_ENV`` is ``production`` or absent."""
    if NODE_VARIABLE not in environ:
        return environ
    others = {name: value for name, value in environ.items() if name != NODE_VARIABLE}
    return others | ({NODE_VARIABLE: PRODUCTION} if _is_node_in_production(environ) else {})


def _is_node_in_production(environ: Mapping[str, str]) -> bool:
    return environ.get(NODE_VARIABLE, "").strip().lower() == PRODUCTION
