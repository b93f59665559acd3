"""One setting: from a variable's text to its value, and how a value is shown to people."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from oxcart._store.address import check_redis_url
from oxcart.errors import ConfigError

HIDDEN = "***"
_SECRET_PARAMETER = re.compile(r"([?&][^=&#]*(?:pass|secret|token|key)[^=&#]*=)[^&#]*", re.I)
_LOGIN_IS_A_NAME = ("postgres", "postgresql")
_SERVICE_LINK = "tcp://"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong with a setting.

    Attributes:
        variable: the environment variable to change.
        text: what it holds and what it wants, as the sentence that follows its name.
    """

    variable: str
    text: str

    def __str__(self) -> str:
        return f"{self.variable} {self.text}"


def refusal(problems: Iterable[Problem], *, because: str | None = None) -> ConfigError:
    """Return the error that lists all problems.

    Args:
        problems: what is wrong.
        because: what explains them, as a clause.
    """
    listed = list(dict.fromkeys(str(problem) for problem in problems))
    reason = f" ({because})" if because else ""
    if len(listed) == 1:
        return ConfigError(f"{listed[0]}{reason}")
    lines = "".join(f"\n  {one}" for one in listed)
    return ConfigError(f"{len(listed)} settings are wrong{reason}:{lines}")


def variable_in_use(names: Iterable[str], environ: Mapping[str, str]) -> str | None:
    """Return the first of a setting's variables that is set and not empty."""
    return next((name for name in names if environ.get(name, "").strip()), None)


def read_values(
    kind: type,
    variables: Mapping[str, tuple[str, ...]],
    environ: Mapping[str, str],
    secret_fields: Collection[str],
) -> tuple[dict[str, Any], list[Problem]]:
    """Read each setting that is set.

    Args:
        kind: the class whose annotations say what each setting takes.
        variables: the names of each setting's variables.
        environ: the environment.
        secret_fields: the settings that are not shown in what is wrong.

    Returns:
        The values by setting, without those that are wrong, and what is wrong with those.
    """
    hints = get_type_hints(kind, include_extras=True)
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for field, names in variables.items():
        name = variable_in_use(names, environ)
        if name is None:
            continue
        raw = environ[name].strip()
        try:
            values[field] = _convert(field, raw, hints[field])
        except (msgspec.ValidationError, ConfigError) as error:
            wish = _wish(hints[field], raw) or str(error)
            text = shown(raw, is_secret=field in secret_fields)
            problems.append(
                Problem(name, f"is {'(hidden)' if text == HIDDEN else repr(text)}: {wish}")
            )
    return values, problems


def shown(value: object, *, is_secret: bool) -> str:
    """Return a value for people's eyes: no password, key or secret can be read in it."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(shown(item, is_secret=is_secret) for item in value)
    text = str(value)
    return HIDDEN if is_secret and "://" not in text else mask_url(text)


def mask_url(text: str) -> str:
    """Return a URL with its password masked and its host readable; other text as it is."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text
    rest, had_at = _SECRET_PARAMETER.sub(rf"\g<1>{HIDDEN}", rest), "@" in rest
    if had_at and "@" not in rest:
        return f"{scheme}://{HIDDEN}"  # nobody can tell whether a login ended there
    # The last "@": a password may hold one that should have been written as %40.
    login, at, place = rest.rpartition("@")
    user, colon, _ = login.partition(":")
    if colon:
        login = f"{user}:{HIDDEN}"
    elif login and scheme.partition("+")[0] not in _LOGIN_IS_A_NAME:
        login = HIDDEN  # a token, or a password that lacks its colon
    return f"{scheme}://{login}{at}{place}"


def _convert(field: str, raw: str, hint: object) -> object:
    """Turn a variable's text into the setting's type."""
    if hint == tuple[str, ...]:
        return tuple(part.strip() for part in raw.split(",") if part.strip())
    if hint in (Path, Path | None):
        try:
            return Path(raw).expanduser()
        except RuntimeError as error:
            raise msgspec.ValidationError(str(error)) from error
    value = msgspec.convert(raw, hint, strict=False)
    if field == "redis_url":
        check_redis_url(raw)
    return value


def _wish(hint: object, raw: str) -> str | None:
    """What a setting wants, where its type says it better than the error does."""
    if get_origin(hint) is Literal:
        return "it must be one of " + ", ".join(get_args(hint))
    base, meta = _annotated(hint)
    if meta is None:
        return None
    if meta.pattern is not None:
        if re.search(meta.pattern, raw):
            return None  # the form is right, so the error knows more
        return str(meta.description or f"it must match {meta.pattern}")
    number = "a whole number" if base is int else "a number"
    most = "" if meta.le is None else f" and at most {meta.le}"
    wish = f"it must be {number} of at least {meta.ge}{most}"
    if raw.startswith(_SERVICE_LINK):
        wish += (
            "; Kubernetes sets this variable for a Service of that name: "
            "set enableServiceLinks: false in the pod, or name the Service otherwise"
        )
    return wish


def _annotated(hint: object) -> tuple[object, msgspec.Meta | None]:
    """Find the annotated type in a hint, which may be optional."""
    for candidate in (hint, *get_args(hint)):
        if get_origin(candidate) is Annotated:
            base, meta, *_ = get_args(candidate)
            return base, meta
    return hint, None
