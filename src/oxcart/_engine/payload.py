"""Payloads and handlers' parameters: checked on the way in, bound on the way out."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from oxcart._engine.provided import Provided, hints_of
from oxcart._model.json import JsonValue
from oxcart.errors import ConfigError, PayloadError


class Binder(Protocol):
    """Turns calls into payloads and payloads into calls."""

    def pack(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> JsonValue:
        """Make a payload of a call's arguments.

        Raises:
            PayloadError: they do not fit the handler's parameters.
        """
        ...

    def unpack(self, data: JsonValue) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Make a call's arguments of a payload.

        Raises:
            PayloadError: it does not fit the handler's parameters.
        """
        ...


def binder_of(function: Callable[..., Any], name: str) -> Binder:
    """The binder of a handler.

    A single positional-only parameter takes the whole payload; otherwise the payload is an object
    whose members are the parameters. Those that ask for a resource are no part of it.

    Raises:
        ConfigError: the parameters cannot be filled from JSON.
    """
    parameters = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is not Provided
    ]
    hints = hints_of(function, f"handler of job {name!r}")
    kinds = {parameter.kind for parameter in parameters}
    if kinds & {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        raise ConfigError(
            f"handler of job {name!r} takes *args or **kwargs; name its parameters, "
            "or take the whole payload as one positional-only parameter"
        )
    if inspect.Parameter.POSITIONAL_ONLY in kinds:
        if len(parameters) != 1:
            raise ConfigError(
                f"handler of job {name!r} mixes a positional-only parameter with others; "
                "a positional-only parameter takes the whole payload"
            )
        return WholePayload(name, hints.get(parameters[0].name, Any))
    return NamedParameters(name, inspect.Signature(parameters), _struct_of(name, parameters, hints))


@dataclass(frozen=True, slots=True)
class NamedParameters:
    """The payload is an object whose members are the handler's parameters."""

    name: str
    signature: inspect.Signature
    struct: type[msgspec.Struct]

    def pack(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> JsonValue:
        """Make a payload; see ``Binder``."""
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise PayloadError(f"job {self.name!r}: {error}") from error
        bound.apply_defaults()
        data: JsonValue = _plain(bound.arguments, self.name)
        self.unpack(data)
        return data

    def unpack(self, data: JsonValue) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Make a call's arguments; see ``Binder``."""
        values = _convert(data, self.struct, self.name)
        return (), {field: getattr(values, field) for field in self.struct.__struct_fields__}


@dataclass(frozen=True, slots=True)
class WholePayload:
    """The handler takes the whole payload as one value of its own type."""

    name: str
    kind: Any

    def pack(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> JsonValue:
        """Make a payload; see ``Binder``."""
        if kwargs or len(args) != 1:
            raise PayloadError(f"job {self.name!r} takes its whole payload as one positional value")
        value = args[0]
        if hasattr(value, "model_dump"):  # pydantic's models, without importing pydantic
            dumped: JsonValue = value.model_dump(mode="json", by_alias=True)
            return dumped
        data: JsonValue = _plain(value, self.name)
        self.unpack(data)
        return data

    def unpack(self, data: JsonValue) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Make a call's arguments; see ``Binder``."""
        if hasattr(self.kind, "model_validate"):
            try:
                return (self.kind.model_validate(data),), {}
            except ValueError as error:
                raise _misfit(self.name, error) from error
        return (_convert(data, self.kind, self.name),), {}


def _struct_of(
    name: str, parameters: list[inspect.Parameter], hints: dict[str, Any]
) -> type[msgspec.Struct]:
    fields: list[Any] = []
    for parameter in parameters:
        kind = hints.get(parameter.name, Any)
        if parameter.default is inspect.Parameter.empty:
            fields.append((parameter.name, kind))
        else:
            fields.append((parameter.name, kind, _default(parameter.default)))
    return msgspec.defstruct(f"{name} payload", fields, kw_only=True, forbid_unknown_fields=True)


def _default(value: Any) -> Any:
    # msgspec wants a factory for defaults that could be changed.
    if isinstance(value, list | dict | set):
        return msgspec.field(default_factory=value.copy)
    return value


def _plain(value: Any, name: str) -> Any:
    try:
        return msgspec.to_builtins(value, str_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise PayloadError(f"job {name!r}: JSON cannot hold its payload: {error}") from error


def _convert(data: JsonValue, kind: Any, name: str) -> Any:
    try:
        return msgspec.convert(data, kind, strict=True, str_keys=True)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _misfit(name, error) from error


def _misfit(name: str, error: BaseException) -> PayloadError:
    return PayloadError(f"the payload does not fit the handler of job {name!r}: {error}")
