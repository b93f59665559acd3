from __future__ import annotations

import socket
import ssl

import aiosmtplib
import pytest

from oxcart.mail.errors import SmtpError, SmtpMisconfigured, SmtpRefused, SmtpTemporary
from oxcart.mail.verdict import Stage, Verdict, judge, wants_fewer_connections

TEMPORARY, PERMANENT, CONFIGURATION = Verdict.TEMPORARY, Verdict.PERMANENT, Verdict.CONFIGURATION


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def sender_refused(code: int, text: str) -> Exception:
    return aiosmtplib.SMTPSenderRefused(code, text, "no-reply@cofactor.world")


def recipient_refused(code: int, text: str) -> Exception:
    return aiosmtplib.SMTPRecipientRefused(code, text, "ada@example.com")


REPLIES = [
    (Stage.CONNECT, aiosmtplib.SMTPConnectResponseError(421, "too busy"), TEMPORARY),
    (Stage.CONNECT, aiosmtplib.SMTPConnectResponseError(554, "no service"), CONFIGURATION),
    (Stage.CONNECT, aiosmtplib.SMTPHeloError(451, "later"), TEMPORARY),
    (Stage.CONNECT, aiosmtplib.SMTPHeloError(550, "bad name"), CONFIGURATION),
    (Stage.ENCRYPT, aiosmtplib.SMTPResponseException(454, "TLS not available"), TEMPORARY),
    (Stage.ENCRYPT, aiosmtplib.SMTPResponseException(502, "no STARTTLS"), CONFIGURATION),
    (Stage.LOG_IN, aiosmtplib.SMTPAuthenticationError(454, "4.7.0 later"), TEMPORARY),
    (Stage.LOG_IN, aiosmtplib.SMTPAuthenticationError(535, "5.7.8 wrong"), CONFIGURATION),
    (Stage.SENDER, sender_refused(421, "closing"), TEMPORARY),
    (Stage.SENDER, sender_refused(451, "4.3.0 later"), TEMPORARY),
    (Stage.SENDER, sender_refused(553, "5.7.1 not yours"), PERMANENT),
    (Stage.SENDER, sender_refused(530, "5.7.0 authenticate first"), CONFIGURATION),
    (Stage.RECIPIENT, recipient_refused(450, "4.2.0 greylisted"), TEMPORARY),
    (Stage.RECIPIENT, recipient_refused(452, "4.2.2 over quota"), TEMPORARY),
    (Stage.RECIPIENT, recipient_refused(550, "5.1.1 no such user"), PERMANENT),
    (Stage.RECIPIENT, recipient_refused(552, "5.2.2 mailbox full"), PERMANENT),
    (Stage.CONTENT, aiosmtplib.SMTPDataError(454, "Throttling failure"), TEMPORARY),
    (Stage.CONTENT, aiosmtplib.SMTPDataError(554, "5.6.0 looks like spam"), PERMANENT),
    # The two codes disagree: the mail is tried again.
    (Stage.RECIPIENT, recipient_refused(550, "4.4.1 try later"), TEMPORARY),
    (Stage.RECIPIENT, recipient_refused(450, "5.1.1 no such user"), TEMPORARY),
    # Something like an enhanced code further on is not one.
    (Stage.RECIPIENT, recipient_refused(550, "client 4.4.4.4 is blocked"), PERMANENT),
    # Not SMTP at all.
    (Stage.RECIPIENT, recipient_refused(-1, "Malformed SMTP response line: 4"), TEMPORARY),
    (Stage.RECIPIENT, recipient_refused(220, "what?"), TEMPORARY),
]

OTHERS = [
    (Stage.CONNECT, aiosmtplib.SMTPConnectError("refused"), TEMPORARY),
    (Stage.CONNECT, aiosmtplib.SMTPConnectTimeoutError("slow"), TEMPORARY),
    (
        Stage.CONNECT,
        caused(aiosmtplib.SMTPConnectError("unknown host"), socket.gaierror(-2, "unknown")),
        TEMPORARY,
    ),
    (
        Stage.CONNECT,
        caused(aiosmtplib.SMTPConnectError("TLS"), ssl.SSLCertVerificationError("self-signed")),
        CONFIGURATION,
    ),
    (Stage.ENCRYPT, ssl.SSLCertVerificationError("self-signed"), CONFIGURATION),
    (Stage.ENCRYPT, aiosmtplib.SMTPException("STARTTLS not supported"), CONFIGURATION),
    (Stage.LOG_IN, aiosmtplib.SMTPException("AUTH not supported"), CONFIGURATION),
    (Stage.LOG_IN, aiosmtplib.SMTPServerDisconnected("gone"), TEMPORARY),
    (Stage.SENDER, aiosmtplib.SMTPReadTimeoutError("slow"), TEMPORARY),
    (Stage.RECIPIENT, aiosmtplib.SMTPNotSupported("SMTPUTF8"), PERMANENT),
    (Stage.CONTENT, aiosmtplib.SMTPServerDisconnected("gone"), TEMPORARY),
    (Stage.CONTENT, ssl.SSLError("bad record"), TEMPORARY),
    (Stage.CONTENT, ConnectionResetError(104, "reset"), TEMPORARY),
    (Stage.CONTENT, RuntimeError("?"), TEMPORARY),
]


@pytest.mark.parametrize(("stage", "error", "verdict"), REPLIES + OTHERS)
def test_verdict(stage: Stage, error: Exception, verdict: Verdict) -> None:
    assert judge(stage, error).verdict is verdict


@pytest.mark.parametrize(("stage", "error", "verdict"), REPLIES)
def test_reply_is_kept_in_the_servers_words(
    stage: Stage, error: aiosmtplib.SMTPResponseException, verdict: Verdict
) -> None:
    judgement = judge(stage, error)

    assert judgement.words == error.message
    assert judgement.code == (error.code if error.code > 0 else None)


def test_words_become_one_line_that_can_be_stored() -> None:
    error = recipient_refused(550, "5.1.1 no\r\nsuch\x00 user\udcff" + " x" * 1_000)

    words = judge(Stage.RECIPIENT, error).words

    assert words.startswith("5.1.1 no such user?")
    assert len(words) == 500


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (recipient_refused(550, "5.1.1 gone"), SmtpRefused, "550 5.1.1 gone"),
        (recipient_refused(450, "4.2.0 later"), SmtpTemporary, "450 4.2.0 later"),
        (aiosmtplib.SMTPServerDisconnected("Connection lost"), SmtpTemporary, "Connection lost"),
        (sender_refused(530, ""), SmtpMisconfigured, "530"),
    ],
)
def test_error_says_what_the_server_said(
    error: Exception, kind: type[Exception], text: str
) -> None:
    raised = judge(Stage.RECIPIENT, error).to_error(Stage.RECIPIENT)

    assert type(raised) is kind
    assert str(raised) == text
    assert raised.stage == "recipient"


@pytest.mark.parametrize(
    "error",
    [
        SmtpTemporary(stage=Stage.CONNECT, code=None, words="Connection lost"),
        SmtpTemporary(stage=Stage.CONNECT, code=421, words="4.7.0 busy"),
        SmtpTemporary(stage=Stage.LOG_IN, code=454, words="4.7.0 Too many login attempts"),
        SmtpMisconfigured(stage=Stage.CONNECT, code=554, words="5.7.1 too many from you"),
        SmtpTemporary(stage=Stage.SENDER, code=421, words="4.3.2 closing"),
        SmtpTemporary(stage=Stage.SENDER, code=451, words="4.7.1 Too many connections"),
        SmtpTemporary(stage=Stage.CONTENT, code=421, words="too many concurrent SMTP sessions"),
        SmtpTemporary(stage=Stage.CONTENT, code=432, words="4.3.2 sender thread limit exceeded"),
    ],
)
def test_answer_may_come_from_how_many_connections_there_are(error: SmtpError) -> None:
    assert wants_fewer_connections(error)


@pytest.mark.parametrize(
    "error",
    [
        SmtpTemporary(stage=Stage.RECIPIENT, code=450, words="4.2.0 greylisted"),
        SmtpTemporary(stage=Stage.RECIPIENT, code=452, words="4.5.3 too many recipients"),
        SmtpTemporary(stage=Stage.CONTENT, code=421, words="4.3.0 temporary problem"),
        SmtpRefused(stage=Stage.RECIPIENT, code=550, words="5.7.1 no connections from you"),
        # Nobody knows whether these were taken.
        SmtpTemporary(stage=Stage.CONTENT, code=None, words="all connections lost"),
        SmtpTemporary(stage=Stage.CONTENT, code=251, words="sessions"),
    ],
)
def test_answer_about_the_mail_is_not_about_connections(error: SmtpError) -> None:
    assert not wants_fewer_connections(error)
