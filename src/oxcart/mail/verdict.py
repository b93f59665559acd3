"""Decides what an SMTP failure means for the mail: try again, never again, or call an operator.

Pure: the dialogue's stage and the error go in, a value comes out. ``docs/how-to/send-emails.md``
has the table.
"""

from __future__ import annotations

import enum
import re
import ssl
from dataclasses import dataclass

import aiosmtplib

from oxcart.mail.errors import SmtpError, SmtpMisconfigured, SmtpRefused, SmtpTemporary

_WORDS_LENGTH = 500
_TEMPORARY_CLASS, _PERMANENT_CLASS = 4, 5
_AUTHENTICATION_REQUIRED = 530  # RFC 4954, also "must issue STARTTLS first" in RFC 3207
_SERVICE_CLOSING = 421
_NOT_SO_MANY_AT_ONCE = 432  # what Exchange Online says to the fourth mail at a time
_ABOUT_CONNECTIONS = re.compile(r"\b(connections|sessions|concurren)", re.IGNORECASE)
_ENHANCED_CODE = re.compile(r"([245])\.\d{1,3}\.\d{1,3}(?:\s|$)")


class Stage(enum.StrEnum):
    """How far the dialogue with the server got."""

    CONNECT = "connect"
    """Connecting, the greeting, and the server's first list of abilities."""
    ENCRYPT = "encrypt"
    """STARTTLS."""
    LOG_IN = "log in"
    SENDER = "sender"
    RECIPIENT = "recipient"
    CONTENT = "content"
    """From the command DATA to the reply to the final dot."""


_BEFORE_ANY_MAIL = frozenset({Stage.CONNECT, Stage.ENCRYPT, Stage.LOG_IN})


class Verdict(enum.StrEnum):
    """What a failure means for the mail."""

    TEMPORARY = "temporary"
    """The same mail may get through later."""
    PERMANENT = "permanent"
    """This mail never gets through."""
    CONFIGURATION = "configuration"
    """No mail gets through until somebody acts; the mail itself may be fine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a failure means, and the server's answer in which it said so."""

    verdict: Verdict
    code: int | None
    words: str

    def to_error(self, stage: Stage) -> SmtpError:
        """Give the error to raise."""
        return _ERRORS[self.verdict](stage=stage.value, code=self.code, words=self.words)


_ERRORS: dict[Verdict, type[SmtpError]] = {
    Verdict.TEMPORARY: SmtpTemporary,
    Verdict.PERMANENT: SmtpRefused,
    Verdict.CONFIGURATION: SmtpMisconfigured,
}


def judge(stage: Stage, error: Exception) -> Judgement:
    """Decide what a failure means.

    Args:
        stage: where in the dialogue it happened.
        error: what aiosmtplib, asyncio or ssl raised.
    """
    if isinstance(error, aiosmtplib.SMTPResponseException):
        verdict = _judge_reply(stage, error.code, error.message)
        code = error.code if error.code > 0 else None  # aiosmtplib's -1: not a reply at all
        return Judgement(verdict=verdict, code=code, words=_one_line(error.message))
    if stage in _BEFORE_ANY_MAIL and _is_about_tls(error):
        verdict = Verdict.CONFIGURATION  # a certificate that does not verify, or no TLS at all
    elif isinstance(error, aiosmtplib.SMTPNotSupported):
        verdict = Verdict.PERMANENT  # the server cannot take such an address
    elif isinstance(error, OSError | TimeoutError):
        verdict = Verdict.TEMPORARY  # among them every loss of the connection
    elif stage in _BEFORE_ANY_MAIL:
        verdict = Verdict.CONFIGURATION  # STARTTLS or AUTH is not on offer
    else:
        verdict = Verdict.TEMPORARY
    return Judgement(verdict=verdict, code=None, words=_one_line(_describe(error)))


def wants_fewer_connections(error: SmtpError) -> bool:
    """Tell whether a failure may come from how many connections there are, not from the mail.

    That goes for a connection that was not let in, and for a temporary answer that says so. The
    mail certainly was not taken.
    """
    if error.stage in _BEFORE_ANY_MAIL:
        return True
    if not isinstance(error, SmtpTemporary) or (error.code or 0) // 100 != _TEMPORARY_CLASS:
        return False
    is_no_service = error.code == _SERVICE_CLOSING and error.stage == Stage.SENDER
    says_so = error.code == _NOT_SO_MANY_AT_ONCE or _ABOUT_CONNECTIONS.search(error.words)
    return is_no_service or bool(says_so)


def is_servers_failure(error: SmtpError) -> bool:
    """Return whether every mail would meet a failure, whatever its recipient and content.

    The server has been told nothing of the mail then, except its sender, which is the same for all.
    """
    if error.stage in _BEFORE_ANY_MAIL or isinstance(error, SmtpMisconfigured):
        return True
    return error.stage == Stage.SENDER and error.code in (None, _SERVICE_CLOSING)


def _judge_reply(stage: Stage, code: int, message: str) -> Verdict:
    first_digit, enhanced = code // 100, _enhanced_class(message)
    if first_digit not in (_TEMPORARY_CLASS, _PERMANENT_CLASS):
        return Verdict.TEMPORARY  # an answer that no server gives here: the dialogue is confused
    # Where the reply code and the enhanced code (RFC 3463) disagree, trying again is the cheaper
    # mistake: attempts are few, and a mail thrown away does not come back.
    if _TEMPORARY_CLASS in (first_digit, enhanced):
        return Verdict.TEMPORARY
    if stage in _BEFORE_ANY_MAIL or code == _AUTHENTICATION_REQUIRED:
        return Verdict.CONFIGURATION
    return Verdict.PERMANENT


def _enhanced_class(message: str) -> int | None:
    match = _ENHANCED_CODE.match(message)
    return int(match[1]) if match else None


def _is_about_tls(error: Exception) -> bool:
    return isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError)


def _describe(error: Exception) -> str:
    return str(error) or type(error).__name__


def _one_line(words: str) -> str:
    """Make a server's words fit to be kept and shown: one line, no controls, not too long."""
    encodable = words.encode("utf-8", "replace").decode("utf-8")
    cleaned = "".join(char if char.isprintable() else " " for char in encodable)
    return " ".join(cleaned.split())[:_WORDS_LENGTH]
