from __future__ import annotations

import msgspec
import pytest
from tests.unit.mail.builders import make_payloads

from oxcart.errors import PayloadError
from oxcart.mail import payloads

CONTROLS = ["\r", "\n", "\r\n", "\x00", "\t", "\x0b", "\x1b", "\x7f", "\x85", "\u2028"]


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


@pytest.mark.parametrize("control", ["\x00", "\x07", "\x1b", "\x1f", "\x7f"])
def test_controls_that_mean_nothing_in_a_mail_are_refused(control: str) -> None:
    bad = f"Ada{control}x"

    with pytest.raises(PayloadError, match=r"name holds the control character U\+00"):
        payloads.welcome("ada@example.com", bad)
    with pytest.raises(PayloadError, match=r"metadata\.title holds the control character"):
        payloads.notification("ada@example.com", "Ada", bad, "Text")
    with pytest.raises(PayloadError, match=r"metadata\.message holds the control character"):
        payloads.notification("ada@example.com", "Ada", "Title", bad)


@pytest.mark.parametrize("control", CONTROLS)
def test_controls_in_addresses_secrets_and_links_are_refused(control: str) -> None:
    bad = f"Ada{control}x"

    with pytest.raises(PayloadError, match="toEmail holds the control character"):
        payloads.welcome(f"ada{control}@example.com", "Ada")
    with pytest.raises(PayloadError, match="toEmail holds the control character"):
        payloads.welcome(f"ada@example.com{control}Bcc: everybody@example.com", "Ada")
    with pytest.raises(PayloadError, match=r"metadata\.token holds the control character"):
        payloads.verification("ada@example.com", "Ada", bad)
    with pytest.raises(PayloadError, match=r"metadata\.link holds the control character"):
        payloads.notification("ada@example.com", "Ada", "Title", "Text", f"/{bad}")


def test_secrets_go_to_one_address_alone() -> None:
    """A reset code that also reaches a second address would give that one the account."""
    both = "ada@example.com, eve@evil.example"

    with pytest.raises(PayloadError, match=r"toEmail has 2 recipients: .*'password_reset'"):
        payloads.password_reset(both, "483920")
    with pytest.raises(PayloadError, match=r"toEmail has 2 recipients: .*'verification'"):
        payloads.verification(both, "Ada", "token-1")
    payloads.password_reset("Ada <ada@example.com>, ada@example.com", "483920")


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "data:text/html,x", " JavaScript:x", "mailto:a@b"]
)
def test_link_of_another_scheme_is_refused(link: str) -> None:
    with pytest.raises(PayloadError, match=r"metadata\.link is .*expected a path"):
        payloads.notification("ada@example.com", "Ada", "Title", "Text", link)


def test_secret_that_is_too_long_is_refused() -> None:
    with pytest.raises(PayloadError, match="at most"):
        payloads.verification("ada@example.com", "Ada", "x" * 2_001)


def test_caller_that_passes_no_text_is_told_so() -> None:
    with pytest.raises(PayloadError, match="name must be text, not NoneType"):
        payloads.welcome("ada@example.com", None)  # type: ignore[arg-type]  # the mistake tested


def test_errors_do_not_repeat_secrets() -> None:
    secret = "very-secret\n"

    with pytest.raises(PayloadError) as caught:
        payloads.verification("ada@example.com", "Ada", secret)

    assert "very-secret" not in str(caught.value)
