"""What can go wrong with a mail on its way out.

::

    MailError (OxcartError)
    └── SmtpError                 the server said no, or nothing
        ├── SmtpTemporary         the same mail may get through later
        ├── SmtpRefused           it never will
        └── SmtpMisconfigured     no mail gets through until somebody mends the settings
"""

from __future__ import annotations

from oxcart.errors import OxcartError


class MailError(OxcartError):
    """The root of this package's errors."""


class SmtpError(MailError):
    """A mail was not accepted by the SMTP server.

    Attributes:
        stage: how far the dialogue got, such as ``"recipient"``.
        code: the server's reply code, or ``None`` where there was no reply.
        words: the server's own words, or those of the error; one line.
    """

    def __init__(self, *, stage: str, code: int | None, words: str) -> None:
        self.stage = stage
        self.code = code
        self.words = words
        super().__init__(self.reason)

    @property
    def reason(self) -> str:
        """The server's answer as it gave it, or what happened instead of an answer."""
        return self.words if self.code is None else f"{self.code} {self.words}".rstrip()


class SmtpTemporary(SmtpError):
    """The mail was not accepted now; sending it again later may work."""


class SmtpRefused(SmtpError):
    """The mail was refused for good; sending it again would be refused again."""


class SmtpMisconfigured(SmtpError):
    """The server does not let us in, whatever the mail; an operator has to act."""
