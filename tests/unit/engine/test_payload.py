from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
import pytest

from oxcart import JsonValue
from oxcart._engine.payload import binder_of
from oxcart.errors import ConfigError, PayloadError


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Address(msgspec.Struct, rename="camel"):
    street_name: str
    zip_code: str = ""


@dataclass
class Tag:
    name: str
    notes: list[str] = field(default_factory=list)


class Model:
    """Looks like a pydantic model, which the engine must not import."""

    def __init__(self, value: int) -> None:
        self.value = value

    def model_dump(self, *, mode: str, by_alias: bool) -> dict[str, Any]:
        assert (mode, by_alias) == ("json", True)
        return {"theValue": self.value}

    @classmethod
    def model_validate(cls, data: Any) -> Model:
        if not isinstance(data, dict) or "theValue" not in data:
            raise ValueError("theValue is missing")
        return cls(data["theValue"])


def resize(image_id: int, width: int = 800, *, kind: Literal["jpg", "png"] = "jpg") -> None: ...


def rich(
    when: datetime,
    ident: uuid.UUID,
    size: Size,
    address: Address,
    tags: list[Tag],
    extra: dict[str, Any] | None = None,
    seen: list[int] = [],  # noqa: B006  # such handlers exist
) -> None: ...


def whole(payload: Address, /) -> None: ...


def model(payload: Model, /) -> None: ...


def anything(payload: JsonValue, /) -> None: ...


def untyped(payload, other=1) -> None:  # type: ignore[no-untyped-def]
    ...


def bounded(count: Annotated[int, msgspec.Meta(ge=1, le=3)]) -> None: ...


def packed(function: Any, *args: Any, **kwargs: Any) -> JsonValue:
    return binder_of(function, "job").pack(args, kwargs)


def unpacked(function: Any, data: JsonValue) -> Any:
    args, kwargs = binder_of(function, "job").unpack(data)
    return args[0] if args else kwargs


def test_arguments_become_members_with_their_defaults() -> None:
    assert packed(resize, 7) == {"image_id": 7, "width": 800, "kind": "jpg"}
    assert packed(resize, image_id=7, width=1, kind="png") == {
        "image_id": 7,
        "width": 1,
        "kind": "png",
    }


def test_members_become_arguments_and_missing_ones_take_their_defaults() -> None:
    assert unpacked(resize, {"image_id": 7}) == {"image_id": 7, "width": 800, "kind": "jpg"}


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        ((1, 2, 3), {}),
        ((1,), {"image_id": 2}),
        ((1,), {"height": 2}),
        (("seven",), {}),
        ((7.5,), {}),
        ((True,), {}),
        ((None,), {}),
        ((7,), {"kind": "gif"}),
    ],
)
def test_call_that_does_not_fit_the_handler_is_refused(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    with pytest.raises(PayloadError, match="'job'"):
        packed(resize, *args, **kwargs)


@pytest.mark.parametrize(
    "data",
    [
        {},
        None,
        [],
        [7],
        "7",
        7,
        {"image_id": "7"},
        {"image_id": None},
        {"image_id": 7, "colour": "red"},
        {"image_id": 7, "width": 1.5},
        {"image_id": 7, "kind": "gif"},
        {"image_id": {"$ne": 1}},
    ],
)
def test_payload_that_does_not_fit_is_refused_with_the_job_named(data: JsonValue) -> None:
    with pytest.raises(PayloadError, match="does not fit the handler of job 'job'"):
        unpacked(resize, data)


def test_rich_types_go_through_json_and_come_back() -> None:
    arguments = {
        "when": datetime(2026, 11, 24, 12, tzinfo=UTC),
        "ident": uuid.UUID(int=7),
        "size": Size.LARGE,
        "address": Address(street_name="Broad", zip_code="OX1"),
        "tags": [Tag("a"), Tag("b", ["x"])],
        "extra": {"k": [1, None]},
        "seen": [3],
    }

    data = packed(rich, **arguments)

    assert isinstance(data, dict)
    assert data["address"] == {"streetName": "Broad", "zipCode": "OX1"}
    assert unpacked(rich, data) == arguments


def test_mutable_default_is_not_shared_by_two_runs() -> None:
    required = packed(
        rich, datetime(2026, 1, 1, tzinfo=UTC), uuid.uuid4(), Size.SMALL, Address("x"), []
    )
    assert isinstance(required, dict)
    del required["seen"]

    unpacked(rich, required)["seen"].append(1)

    assert unpacked(rich, required)["seen"] == []


def test_whole_payload_is_converted_to_its_annotation() -> None:
    assert packed(whole, Address(street_name="Broad")) == {"streetName": "Broad", "zipCode": ""}
    assert unpacked(whole, {"streetName": "Broad"}) == Address(street_name="Broad")


@pytest.mark.parametrize("data", [{}, None, {"streetName": 7}, {"street_name": "x"}, "Broad"])
def test_whole_payload_that_does_not_fit_is_refused(data: JsonValue) -> None:
    with pytest.raises(PayloadError, match="does not fit the handler of job 'job'"):
        unpacked(whole, data)


def test_whole_payload_takes_one_positional_value() -> None:
    with pytest.raises(PayloadError, match="one positional value"):
        packed(whole)
    with pytest.raises(PayloadError, match="one positional value"):
        packed(whole, Address("a"), Address("b"))
    with pytest.raises(PayloadError, match="one positional value"):
        packed(whole, payload=Address("a"))


def test_model_with_its_own_validation_is_dumped_and_validated_by_itself() -> None:
    assert packed(model, Model(7)) == {"theValue": 7}
    assert unpacked(model, {"theValue": 7}).value == 7
    with pytest.raises(PayloadError, match="theValue is missing"):
        unpacked(model, {"value": 7})


@pytest.mark.parametrize("data", [None, 1, "x", [1, {"a": None}], {"a": [1.5]}])
def test_handler_may_take_any_json(data: JsonValue) -> None:
    assert packed(anything, data) == data
    assert unpacked(anything, data) == data


def test_parameters_without_annotations_take_anything() -> None:
    assert unpacked(untyped, {"payload": [None]}) == {"payload": [None], "other": 1}


def test_bounds_in_annotations_are_kept() -> None:
    assert unpacked(bounded, {"count": 3}) == {"count": 3}
    with pytest.raises(PayloadError, match="<= 3"):
        unpacked(bounded, {"count": 4})


def test_payload_that_json_cannot_hold_is_refused() -> None:
    with pytest.raises(PayloadError):
        packed(anything, object())
    with pytest.raises(PayloadError):
        packed(untyped, lambda: None)


def test_payload_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)

    with pytest.raises(PayloadError):
        packed(anything, loop)


def test_handlers_that_json_cannot_fill_are_refused_when_declared() -> None:
    def takes_args(*args: int) -> None: ...
    def takes_kwargs(**kwargs: int) -> None: ...
    def mixes(payload: int, /, other: int) -> None: ...

    for function in (takes_args, takes_kwargs, mixes):
        with pytest.raises(ConfigError, match="handler of job 'job'"):
            binder_of(function, "job")
