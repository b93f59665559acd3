from __future__ import annotations

import msgspec
import pytest
from tests.unit.mail.builders import make_payloads, make_wire_data, metadata_of

from oxcart import JsonValue
from oxcart.errors import PayloadError
from oxcart.mail import payloads
from oxcart.mail.payloads import EmailPayload
from oxcart.mail.wire_data import EmailData

NAMES = ["welcome", "verification", "password_reset", "notification"]


def read(data: object, job_name: str = "welcome") -> EmailPayload:
    return msgspec.convert(data, EmailData).payload(job_name)


def test_payloads_are_written_as_the_contract_says() -> None:
    for payload in make_payloads():
        data = EmailData.of(payload)

        assert msgspec.to_builtins(data) == msgspec.to_builtins(payload)
        assert data.payload(payload.type) == payload


@pytest.mark.parametrize("name", NAMES)
def test_payload_of_a_node_job_is_read(name: str) -> None:
    assert read(make_wire_data(name)).type == name


@pytest.mark.parametrize("name", NAMES)
def test_keys_that_are_not_known_are_passed_over(name: str) -> None:
    data = make_wire_data(name) | {"locale": "de", "sentAt": 1}
    if "metadata" in data:
        metadata_of(data)["campaign"] = {"id": 7}

    assert read(data) == read(make_wire_data(name))


@pytest.mark.parametrize("metadata", [None, {}, {"any": "thing"}, "text"])
def test_welcome_takes_any_metadata(metadata: JsonValue) -> None:
    data = make_wire_data("welcome") | {"metadata": metadata}

    assert read(data) == payloads.welcome("ada@example.com", "Ada")


@pytest.mark.parametrize("link", [None, "", False, 0])
def test_link_may_be_nothing(link: JsonValue) -> None:
    data = make_wire_data("notification")
    metadata_of(data)["link"] = link

    payload = read(data)

    assert isinstance(payload, payloads.NotificationPayload)
    assert payload.metadata.link is None


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("verification", "token"),
        ("password_reset", "resetCode"),
        ("notification", "title"),
        ("notification", "message"),
    ],
)
@pytest.mark.parametrize("value", ["missing", "", "  ", None, 0, False, [], {}, ["a"], {"a": 1}])
def test_required_metadata_must_be_text(name: str, key: str, value: JsonValue) -> None:
    data = make_wire_data(name)
    metadata_of(data)[key] = value
    if value == "missing":
        del metadata_of(data)[key]

    with pytest.raises(msgspec.ValidationError, match=rf"metadata\.{key} .*expected text"):
        read(data)


@pytest.mark.parametrize("name", ["verification", "password_reset", "notification"])
@pytest.mark.parametrize("metadata", [None, [], "text", 5])
def test_metadata_itself_must_be_there(name: str, metadata: JsonValue) -> None:
    data = make_wire_data(name) | {"metadata": metadata}

    with pytest.raises(msgspec.ValidationError, match="metadata"):
        read(data)


@pytest.mark.parametrize("kind", ["promo", "WELCOME", 7, ["welcome"], ""])
def test_type_that_is_not_known_is_refused_with_those_that_are(kind: JsonValue) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"type is .*expected one of welcome, verif"):
        read(make_wire_data("welcome") | {"type": kind})


def test_data_without_a_type_are_of_the_type_that_the_job_is_named_after() -> None:
    data = make_wire_data("notification")
    del data["type"]

    assert read(data, "notification").type == "notification"
    with pytest.raises(PayloadError, match="type is 'newsletter'"):
        read(data, "newsletter")


def test_data_do_not_show_their_secrets() -> None:
    data = msgspec.convert(make_wire_data("verification"), EmailData)

    assert "token-1" not in repr(data)
