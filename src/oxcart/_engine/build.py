"""The build of the program that runs: which version of the application a worker belongs to."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from oxcart.errors import ConfigError

VARIABLES = (
    "OXCART_BUILD",
    "GIT_COMMIT_SHA",
    "GIT_COMMIT",
    "GIT_SHA",
    "SOURCE_COMMIT",
    "SOURCE_VERSION",
    "HEROKU_BUILD_COMMIT",
    "HEROKU_SLUG_COMMIT",
    "RENDER_GIT_COMMIT",
    "RAILWAY_GIT_COMMIT_SHA",
    "VERCEL_GIT_COMMIT_SHA",
    "KOYEB_GIT_SHA",
    "K_REVISION",
    "CI_COMMIT_SHA",
    "GITHUB_SHA",
)
"""Environment variables that name the build, first match first: ours, those that images and
hosting platforms set, those of continuous integration."""
MAX_LENGTH = 64
SHORT_SHA = 12
"""How many digits of a Git commit are kept: they identify it, and log lines stay readable."""

_GIT_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def build_of(given: str | None = None, environ: Mapping[str, str] | None = None) -> str:
    """The build string of a worker: the one given, else from the environment, else empty.

    Args:
        given: what the program says; an empty text says that it has none.
        environ: variables to read instead of ``os.environ``.

    Raises:
        ConfigError: it is not a text, too long, or holds characters that cannot be printed.
    """
    if given is not None:
        return _checked(given, "build")
    environ = os.environ if environ is None else environ
    for name in VARIABLES:
        value = environ.get(name, "").strip()
        if value:
            return _checked(value, name)
    return ""


def _checked(build: object, source: str) -> str:
    if not isinstance(build, str):
        raise ConfigError(f"{source} is {build!r}; it must be a text such as a Git commit")
    if not build.isprintable() or len(build) > MAX_LENGTH:
        raise ConfigError(
            f"{source} is {build[:MAX_LENGTH]!r}; it must be at most {MAX_LENGTH} printable "
            "characters, such as a Git commit or a version"
        )
    return build[:SHORT_SHA] if _GIT_SHA.fullmatch(build) else build
