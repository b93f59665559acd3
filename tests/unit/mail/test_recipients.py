from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxcart.errors import PayloadError
from oxcart.mail.headers import Mailbox
from oxcart.mail.recipients import parse_recipients

ADA, BOB = "ada@example.com", "bob@example.com"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (ADA, [(ADA, "")]),
        (f"  {ADA} \t", [(ADA, "")]),
        (f"{ADA}\r\n", [(ADA, "")]),
        (f"Ada Lovelace <{ADA}>", [(ADA, "Ada Lovelace")]),
        (f'"Lovelace, Ada" <{ADA}>', [(ADA, "Lovelace, Ada")]),
        (rf'"Ada \"Countess\" L" <{ADA}>', [(ADA, 'Ada "Countess" L')]),
        (f"Zoë Ünal <{ADA}>", [(ADA, "Zoë Ünal")]),
        (f"<{ADA}>", [(ADA, "")]),
        (f"{ADA} (Ada)", [(ADA, "Ada")]),
        (f"{ADA}, {BOB}", [(ADA, ""), (BOB, "")]),
        (f"{ADA}; {BOB};", [(ADA, ""), (BOB, "")]),
        (f"Ada <{ADA}>,Bob <{BOB}>", [(ADA, "Ada"), (BOB, "Bob")]),
        (f"{ADA}, {ADA}", [(ADA, "")]),
        ("a..b@example.com", [("a..b@example.com", "")]),
        (".a.@example.com", [(".a.@example.com", "")]),
        ("ada@localhost", [("ada@localhost", "")]),
        ("ada@[127.0.0.1]", [("ada@[127.0.0.1]", "")]),
        ("ada@ex_ample.com", [("ada@ex_ample.com", "")]),
        ('"ada lovelace"@example.com', [('"ada lovelace"@example.com', "")]),
        ("a" * 65 + "@example.com", [("a" * 65 + "@example.com", "")]),
        ("o'neil+tag@mail.example.co.uk", [("o'neil+tag@mail.example.co.uk", "")]),
        ("ada@bücher.example", [("ada@xn--bcher-kva.example", "")]),
        ("ädä@bücher.example", [("ädä@xn--bcher-kva.example", "")]),
        (f"=?utf-8?b?QQ0K?= <{ADA}>", [(ADA, "=?utf-8?b?QQ0K?=")]),
    ],
)
def test_recipients_are_read_as_nodemailer_reads_them(
    value: str, expected: list[tuple[str, str]]
) -> None:
    assert parse_recipients(value, what="toEmail") == tuple(Mailbox(*each) for each in expected)


@pytest.mark.parametrize(
    "value",
    [
        "",
        ",",
        "ada",
        "ada@",
        "@example.com",
        "ada@exa mple.com",
        "ada lovelace@example.com",
        "ada@bob@example.com",
        "ada@example..com",
        "ada@-example.com",
        "ada@[localhost]",
        "ada@[127.0.0.1",
        "Team: ada@example.com, bob@example.com;",
        "mailto:ada@example.com",
        f"{ADA}\r\nBcc: {BOB}",
        f"{ADA}>\r\nRCPT TO:<{BOB}",
        "ada\x00@example.com",
        f"<{ADA}> <{BOB}>",
        f"<{ADA}> Bob",
        f"<{ADA}",
        '"a@b"@example.com',
        '"a\\"b"@example.com',
        "=?utf-8?q?a=0D=0ABcc=3A_e?=@example.com",
        f"Ada <=?utf-8?q?{ADA}",
        "a" * 400 + "@example.com",
        "x@" + ".".join(["a" * 60] * 6),
        ", ".join(f"u{n}@example.com" for n in range(51)),
        "ada@exa\u202emple.com",
    ],
)
def test_what_is_no_address_is_refused_by_name(value: str) -> None:
    with pytest.raises(PayloadError, match=r"^toEmail .*"):
        parse_recipients(value, what="toEmail")


@given(st.text(st.sampled_from('ab@.,;<>"()\\ =?\r\né[]:'), max_size=40))
def test_no_text_makes_an_address_that_ends_an_smtp_command(value: str) -> None:
    """Property: an address that is accepted has none of the characters that end a path."""
    try:
        mailboxes = parse_recipients(value, what="toEmail")
    except PayloadError:
        return
    for mailbox in mailboxes:
        unquoted = mailbox.addr_spec.split('"')[-1]
        assert not set(unquoted) & set("<>\r\n ,;\\")
        assert mailbox.addr_spec.count("@") == 1
