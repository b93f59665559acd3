from __future__ import annotations

import msgspec
import pytest
from tests.unit.mail.builders import make_payloads, make_wire_data, metadata_of

from oxcart import JsonValue
from oxcart.errors import PayloadError
from oxcart.mail import payloads
from oxcart.mail.payloads import (
    NotificationPayload,
    PasswordResetPayload,
    VerificationPayload,
    WelcomePayload,
)

TYPES: dict[str, type[payloads.EmailPayload]] = {
    "welcome": WelcomePayload,
    "verification": VerificationPayload,
    "password_reset": PasswordResetPayload,
    "notification": NotificationPayload,
}

CONTROLS = ["\r", "\n", "\r\n", "\x00", "\t", "\x0b", "\x1b", "\x7f", "\x85", "\u2028", "\ud800"]


def test_payloads_have_the_shape_that_node_reads() -> None:
    """Names, nesting and spelling are the wire's; what is not given is not there."""
    on_the_wire = [msgspec.to_builtins(payload) for payload in make_payloads()]

    assert on_the_wire == [
        {"type": "welcome", "toEmail": "ada@example.com", "name": "Ada"},
        {
            "type": "verification",
            "toEmail": "ada@example.com",
            "name": "Ada",
            "metadata": {"token": "token-1"},
        },
        {
            "type": "password_reset",
            "toEmail": "ada@example.com",
            "name": "",
            "metadata": {"resetCode": "483920"},
        },
        {
            "type": "notification",
            "toEmail": "ada@example.com",
            "name": "Ada",
            "metadata": {"title": "A reply", "message": "Bob replied.", "link": "/wiki/1"},
        },
    ]


def test_notification_without_link_has_no_link_on_the_wire() -> None:
    for link in (None, ""):
        payload = payloads.notification("ada@example.com", "Ada", "Title", "Text", link)

        assert msgspec.to_builtins(payload)["metadata"] == {"title": "Title", "message": "Text"}


@pytest.mark.parametrize("name", TYPES)
def test_payload_of_a_node_job_is_read(name: str) -> None:
    data = make_wire_data(name)

    payload = msgspec.convert(data, TYPES[name])

    assert data == msgspec.to_builtins(payload)


@pytest.mark.parametrize("name", TYPES)
def test_keys_that_are_not_known_are_passed_over(name: str) -> None:
    data = make_wire_data(name) | {"locale": "de", "sentAt": 1}
    if "metadata" in data:
        metadata_of(data)["campaign"] = {"id": 7}

    assert msgspec.convert(data, TYPES[name]) == msgspec.convert(make_wire_data(name), TYPES[name])


@pytest.mark.parametrize("metadata", [None, {}, {"any": "thing"}, "text"])
def test_welcome_takes_any_metadata(metadata: JsonValue) -> None:
    data = make_wire_data("welcome") | {"metadata": metadata}

    assert msgspec.convert(data, WelcomePayload) == payloads.welcome("ada@example.com", "Ada")


def test_link_may_be_null() -> None:
    data = make_wire_data("notification")
    metadata_of(data)["link"] = None

    assert msgspec.convert(data, NotificationPayload).metadata.link is None


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("verification", "token"),
        ("password_reset", "resetCode"),
        ("notification", "title"),
        ("notification", "message"),
    ],
)
@pytest.mark.parametrize("value", ["missing", "", "  ", None, 7])
def test_required_metadata_must_be_there(name: str, key: str, value: JsonValue) -> None:
    """Missing, empty, blank, null and of another type all make the payload unfit."""
    data = make_wire_data(name)
    metadata_of(data)[key] = value
    if value == "missing":
        del metadata_of(data)[key]

    with pytest.raises(msgspec.ValidationError, match=key):
        msgspec.convert(data, TYPES[name])


@pytest.mark.parametrize("name", ["verification", "password_reset", "notification"])
def test_metadata_itself_must_be_there(name: str) -> None:
    data = make_wire_data(name)
    del data["metadata"]

    with pytest.raises(msgspec.ValidationError, match="metadata"):
        msgspec.convert(data, TYPES[name])


def test_type_that_is_not_the_jobs_name_is_refused() -> None:
    data = make_wire_data("welcome") | {"type": "verification"}

    with pytest.raises(msgspec.ValidationError, match="type"):
        msgspec.convert(data, WelcomePayload)


@pytest.mark.parametrize("control", CONTROLS)
def test_controls_in_name_title_and_address_are_refused(control: str) -> None:
    """A line end in a header field would let its author write headers."""
    bad = f"Ada{control}Bcc: everybody@example.com"

    with pytest.raises(PayloadError, match="name holds the control character"):
        payloads.welcome("ada@example.com", bad)
    with pytest.raises(PayloadError, match=r"metadata\.title holds the control character"):
        payloads.notification("ada@example.com", "Ada", bad, "Text")
    with pytest.raises(PayloadError, match="toEmail holds the control character"):
        payloads.welcome(f"ada@example.com{control}", "Ada")


@pytest.mark.parametrize("control", CONTROLS)
def test_controls_from_the_queue_are_refused_too(control: str) -> None:
    data = make_wire_data("welcome") | {"name": f"Ada{control}x"}

    with pytest.raises(msgspec.ValidationError, match="name holds the control character"):
        msgspec.convert(data, WelcomePayload)


def test_message_may_have_lines_but_no_other_controls() -> None:
    payloads.notification("ada@example.com", "Ada", "Title", "one\r\ntwo\n\n\tthree")

    with pytest.raises(PayloadError, match=r"U\+0000"):
        payloads.notification("ada@example.com", "Ada", "Title", "one\x00two")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "ada@",
        "@example.com",
        "ada@localhost",
        "ada@exa mple.com",
        "ada@example.com, bob@example.com",
        "Ada <ada@example.com>",
        "<ada@example.com>",
        "ada@example..com",
        "a" * 65 + "@example.com",
        "ada@example.com" * 30,
        "=?utf-8?q?a=0D=0ABcc=3A_e?=@example.com",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(PayloadError, match="toEmail"):
        payloads.welcome(address, "Ada")


@pytest.mark.parametrize(
    "address", ["o'neil+tag@mail.example.co.uk", "ada@uni.test", "ada@bücher.example"]
)
def test_unusual_addresses_are_taken(address: str) -> None:
    assert payloads.welcome(address, "Ada").to_email == address


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "@evil.example/",
        ".evil.example/",
        "https://evil.example/",
        "wiki/1",
        "/wiki\n/1",
    ],
)
def test_link_must_be_a_path(link: str) -> None:
    """Joined to the application's URL, anything else could lead to another host."""
    with pytest.raises(PayloadError, match=r"metadata\.link"):
        payloads.notification("ada@example.com", "Ada", "Title", "Text", link)


@pytest.mark.parametrize(
    "make",
    [
        lambda: payloads.welcome("ada@example.com", "x" * 301),
        lambda: payloads.notification("ada@example.com", "Ada", "x" * 301, "Text"),
        lambda: payloads.notification("ada@example.com", "Ada", "Title", "x" * 50_001),
        lambda: payloads.verification("ada@example.com", "Ada", "x" * 2_001),
    ],
)
def test_what_is_too_long_is_refused(make: object) -> None:
    with pytest.raises(PayloadError, match="at most"):
        make()  # type: ignore[operator]  # each is a function without parameters


def test_caller_that_passes_no_text_is_told_so() -> None:
    with pytest.raises(PayloadError, match="name must be text, not NoneType"):
        payloads.welcome("ada@example.com", None)  # type: ignore[arg-type]  # the mistake tested


def test_errors_do_not_repeat_secrets() -> None:
    secret = "very-secret\n"

    with pytest.raises(PayloadError) as caught:
        payloads.verification("ada@example.com", "Ada", secret)

    assert "very-secret" not in str(caught.value)
