from __future__ import annotations

import email
from email import policy
from email.headerregistry import HeaderRegistry
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxcart.errors import PayloadError
from oxcart.mail.headers import MAIL_POLICY, Mailbox, MailPolicy, TextHeader

LINES = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=300).map(
    str.strip
)
NASTY = st.lists(
    st.sampled_from(["=?utf-8?b?", "=?", "?=", "DQpCY2M6IGU=", "=0D=0A", " ", '"', "\\", "é", ","]),
    max_size=12,
).map(lambda parts: "".join(parts).strip())


def make_message(**fields: object) -> EmailMessage:
    message = EmailMessage(policy=MAIL_POLICY)
    values = {"From": [Mailbox("a@x.example")], "To": [Mailbox("b@x.example")], "Subject": "S"}
    for field, value in (values | fields).items():
        message[field.replace("_", "-")] = value
    message.set_content("Text")
    return message


def read_back(message: EmailMessage) -> EmailMessage:
    parsed = email.message_from_bytes(message.as_bytes(), policy=policy.SMTP)
    assert isinstance(parsed, EmailMessage)
    return parsed


@given(subject=LINES | NASTY, name=LINES | NASTY)
def test_any_subject_and_display_name_come_back_as_they_were(subject: str, name: str) -> None:
    """Property: what a reader sees is the value itself, also where it looks like encoded words."""
    message = make_message(
        Subject=subject, To=[Mailbox("b@x.example", name), Mailbox("c@x.example")]
    )

    back = read_back(message)

    assert back.keys() == message.keys()
    assert back["Subject"] == subject
    first, second = back["To"].addresses
    assert (first.addr_spec, second.addr_spec) == ("b@x.example", "c@x.example")
    # Python's parser keeps the blank between two encoded words of a name; RFC 2047 drops it.
    assert "".join(first.display_name.split()) == "".join(name.split())
    raw = message.as_bytes()
    assert raw.isascii()
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))


@pytest.mark.parametrize("value", ["a\r\nBcc: e", "a\nb", "a\rb", "a\x00b", "a\r\n", "x" * 999])
@pytest.mark.parametrize("field", ["Subject", "Message-ID", "X-Any"])
def test_field_that_would_write_more_than_itself_is_refused_when_it_is_written(
    field: str, value: str
) -> None:
    """The check is of what was folded, so it holds wherever a value came from."""

    class Raw(TextHeader):
        def fold(self, *, policy: object) -> str:
            return f"{field}: {value}\r\n"

    registry = HeaderRegistry()
    registry.map_to_type(field, Raw)
    message = EmailMessage(policy=MailPolicy(linesep="\r\n", header_factory=registry))
    message[field] = "harmless"

    with pytest.raises(PayloadError, match=f"not sent: .* header field {field} "):
        message.as_bytes()
    with pytest.raises(PayloadError, match="not sent"):
        message.as_string()


def test_words_that_no_line_can_hold_are_encoded() -> None:
    message = make_message(Subject="x" * 2_000)

    assert max(map(len, message.as_bytes().split(b"\r\n"))) <= 998
    assert read_back(message)["Subject"] == "x" * 2_000
