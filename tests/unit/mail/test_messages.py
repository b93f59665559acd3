from __future__ import annotations

import email
import re
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.mail.builders import make_letterhead, make_payloads

from oxcart.mail import payloads
from oxcart.mail.messages import build_message
from oxcart.mail.payloads import EmailPayload

NASTY = """<script>alert(1)</script> "quoted" & 'so' {{ 7*7 }} =cmd"""

# What a field may hold: everything but controls, line separators and lone surrogates.
LINES = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=200
).filter(lambda text: bool(text.strip()))


def read_back(message: EmailMessage) -> EmailMessage:
    """The message as its reader's program sees it."""
    parsed = email.message_from_bytes(message.as_bytes(), policy=policy.SMTP)
    assert isinstance(parsed, EmailMessage)
    return parsed


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    content = body.get_content()
    assert isinstance(content, str)
    return content


class Links(HTMLParser):
    """Collects what links lead to, and the elements that are there."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.hrefs: list[str] = []
        self.elements: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.hrefs += [value for name, value in attrs if name in ("href", "src") and value]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("payload", make_payloads(), ids=lambda payload: payload.type)
def test_every_message_has_its_headers_and_two_parts(payload: EmailPayload) -> None:
    now = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)

    message = read_back(build_message(payload, make_letterhead(), job_id="job-1", now=now))

    assert message["From"] == "Cofactor Club <no-reply@cofactor.world>"
    assert message["To"] == "ada@example.com"
    assert message["Date"] == "Wed, 04 Mar 2026 05:06:07 +0000"
    assert message["Message-ID"] == f"<job-1.{payload.type}@cofactor.world>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "multipart/alternative"
    assert [p.get_content_type() for p in message.iter_parts()] == ["text/plain", "text/html"]
    assert not message.defects


def test_subjects_are_those_of_the_contract() -> None:
    subjects = [build_message(p, make_letterhead(), job_id="1")["Subject"] for p in make_payloads()]

    assert subjects == [
        "Welcome to Cofactor Club",
        "Verify your email address",
        "Reset your password",
        "A reply",
    ]


def test_both_parts_say_what_the_contract_asks() -> None:
    wanted = {
        "welcome": ["Ada", "referral code", "wiki page", "leaderboard"],
        "verification": [
            "Ada",
            "https://cofactor.example/auth/verify?token=token-1",
            "24 hours",
            "made no account",
        ],
        "password_reset": [
            "483920",
            "https://cofactor.example/auth/reset-password",
            "1 hour",
            "did not ask",
        ],
        "notification": ["Ada", "Bob replied.", "https://cofactor.example/wiki/1"],
    }

    for payload in make_payloads():
        message = build_message(payload, make_letterhead(), job_id="1")
        html = Links(part(message, "html"))
        for words in wanted[payload.type]:
            assert words in part(message, "plain")
            assert words in html.text + " ".join(html.hrefs)


def test_values_are_escaped_in_html_and_as_they_are_in_text() -> None:
    payload = payloads.notification("ada@example.com", NASTY, NASTY, NASTY)

    message = read_back(build_message(payload, make_letterhead(app_name="A & B"), job_id="1"))

    html = Links(part(message, "html"))
    assert "script" not in html.elements
    assert html.text.count(NASTY) == 4  # title twice: the page's and the heading
    assert part(message, "plain").count(NASTY) == 2
    assert message["Subject"] == NASTY


@pytest.mark.parametrize("payload", make_payloads(), ids=lambda payload: payload.type)
def test_links_are_absolute_and_of_the_web(payload: EmailPayload) -> None:
    html = Links(part(build_message(payload, make_letterhead(), job_id="1"), "html"))

    assert html.hrefs
    assert all(href.startswith("https://cofactor.example") for href in html.hrefs)


def test_token_reaches_the_page_as_it_is() -> None:
    token = "a/b+c&d=e f#g%h?ü\"'"
    payload = payloads.verification("ada@example.com", "Ada", token)

    message = build_message(payload, make_letterhead(), job_id="1")

    links = [h for h in Links(part(message, "html")).hrefs if "verify" in h]
    assert links
    for link in links:
        assert parse_qs(urlsplit(link).query)["token"] == [token]


def test_notification_without_a_link_has_no_button() -> None:
    payload = payloads.notification("ada@example.com", "Ada", "Title", "Text")

    message = build_message(payload, make_letterhead(), job_id="1")

    assert 'class="button"' not in part(message, "html")
    assert "See it" not in part(message, "plain")


def test_paragraphs_and_lines_of_a_notification_are_kept() -> None:
    payload = payloads.notification("ada@example.com", "Ada", "Title", "one\r\ntwo\n\n \nthree\n")

    message = build_message(payload, make_letterhead(), job_id="1")

    html = re.sub(r' style="[^"]*"', "", part(message, "html"))
    assert "<p>one<br>two</p>" in html
    assert "<p>three</p>" in html
    assert "one\ntwo\n\nthree\n" in part(message, "plain")


def test_mail_to_nobody_by_name_greets_all_the_same() -> None:
    message = build_message(payloads.welcome("ada@example.com", " "), make_letterhead(), job_id="1")

    assert "Hi,\n" in part(message, "plain")


def test_what_cannot_be_written_is_replaced_and_line_ends_become_blanks() -> None:
    payload = payloads.notification(
        "ada@example.com", "A\r\nB\x0bC", "a\ud83d\x92\u2028b", "one\x0ctwo\u2029\n\nx\udc00"
    )

    message = build_message(payload, make_letterhead(), job_id="1")

    assert read_back(message)["Subject"] == "a\ufffd\ufffd b"
    assert "Hi A B C,\n" in part(message, "plain")
    assert "one\ntwo\n\nx\ufffd\n" in part(message, "plain")


def test_message_id_is_the_same_on_every_attempt_and_different_for_every_job() -> None:
    def header(job_id: str) -> str:
        payload = payloads.welcome("ada@example.com", "Ada")
        return str(build_message(payload, make_letterhead(), job_id=job_id)["Message-ID"])

    assert header("7f1c") == header("7f1c") == "<7f1c.welcome@cofactor.world>"
    ids = ["a.b", "a%2Eb", "a b", "a@b", "ab>", "é", "x" * 500, "x" * 501, "..", "a\r\nBcc: x@y"]
    headers = {header(job_id) for job_id in ids}
    assert len(headers) == len(ids)
    assert all(re.fullmatch(r"<[\w%~-]+\.welcome@cofactor\.world>", each) for each in headers)


def test_long_message_id_stays_on_one_line() -> None:
    payload = payloads.password_reset("ada@example.com", "1")

    raw = build_message(payload, make_letterhead(), job_id="x" * 110).as_bytes()

    assert b"Message-ID: <" + b"x" * 110 + b".password_reset@cofactor.world>" in raw


def test_domain_outside_ascii_goes_out_in_ascii() -> None:
    payload = payloads.welcome("ada@bücher.example", "Ada")

    message = build_message(payload, make_letterhead(), job_id="1")

    assert message["To"] == "ada@xn--bcher-kva.example"


def test_lines_on_the_wire_are_short_and_ascii() -> None:
    payload = payloads.notification("ada@example.com", "Zoë", "日本" * 100, "ü" * 9_000)

    raw = build_message(payload, make_letterhead(), job_id="1").as_bytes()

    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")


@given(name=LINES, title=LINES)
def test_any_name_and_title_come_back_as_they_were(name: str, title: str) -> None:
    """Property: no value can add a header, and none is changed on the way."""
    payload = payloads.notification("ada@example.com", name, title, "Text")
    built = build_message(payload, make_letterhead(), job_id="1")

    message = read_back(built)

    assert message.keys() == built.keys()
    assert message["Subject"] == title.strip()
    assert name.strip() in part(message, "plain")
