"""How a function asks for a resource: a parameter whose default is ``Provided``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NoReturn, get_type_hints

from oxcart.errors import ConfigError


class _Provided:
    """The default of a parameter that the worker fills with a resource, by its annotation."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "oxcart.Provided"

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"no {name!r} here: only a worker provides resources; "
            "give the function one yourself when you call it yourself"
        )


Provided: Any = _Provided()
"""The default of a parameter that the worker fills with a resource, by its annotation."""


def hints_of(function: Callable[..., Any], who: str) -> dict[str, Any]:
    """The annotations of a function, resolved.

    Raises:
        ConfigError: one names something that is not there when the program runs.
    """
    try:
        return get_type_hints(function, include_extras=True)
    except NameError as error:
        raise ConfigError(
            f"{who} has an annotation that cannot be resolved: {error}; "
            "import it at run time too, outside TYPE_CHECKING"
        ) from error


def needs_of(function: Callable[..., Any], who: str) -> dict[str, object]:
    """The resources that a function asks for: the annotation of each such parameter.

    Raises:
        ConfigError: such a parameter has no annotation, cannot be given by name, or stands before
            one that callers give by position.
    """
    asking = None
    needs: dict[str, object] = {}
    hints = hints_of(function, who)
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.default is Provided:
            if name not in hints or parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
                raise ConfigError(f"{who}: parameter {name!r} needs an annotation and a name")
            needs[name] = hints[name]
            asking = name
        elif asking and parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD:
            raise ConfigError(
                f"{who}: parameter {asking!r} asks for a resource but stands before {name!r}; "
                "put such parameters last, or behind a *"
            )
    return needs
