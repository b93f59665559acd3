"""Reads ``toEmail``: one address or several, with display names, as Nodemailer accepts them."""

from __future__ import annotations

import functools
import ipaddress
import re

from email_validator import EmailNotValidError, ValidatedEmail, validate_email

from oxcart.errors import PayloadError
from oxcart.mail.headers import ENCODED_WORD_START, Mailbox

MAX_RECIPIENTS = 50
_MAX_LENGTH = 10_000
_MAX_ADDRESS_LENGTH = 320
_MAX_NAME_LENGTH = 300
_SHOWN_LENGTH = 100
_EXPECTED = "expected an address such as ada@example.com or Ada <ada@example.com>"
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|<[^<>]*>|\([^()]*\)|[^,;"<(]+|.')
_ATOMS = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]"
# Beyond the grammar of RFC 5321, as mailboxes like ``a..b@`` exist and servers deliver to them.
_LOCAL = re.compile(rf'{_ATOMS}+|"(?:{_ATOMS}|[ ])+"')
_DOMAIN = re.compile(r"(?=.{1,255}$)(?:(?!-)[A-Za-z0-9_-]{1,63}(?<!-)\.)*(?!-)[A-Za-z0-9_-]{1,63}")


@functools.lru_cache(maxsize=1_024)
def parse_recipients(value: str, *, what: str) -> tuple[Mailbox, ...]:
    """Read the recipients of a mail.

    Args:
        value: addresses, separated by commas or semicolons, each with or without a display name.
        what: the field's name on the wire, for the error.

    Returns:
        Each address once, in the order given, with its domain in ASCII.

    Raises:
        PayloadError: one of them is not an address; no DNS is asked.
    """
    value = value.strip()
    if found := _CONTROL.search(value):
        raise PayloadError(f"{what} holds the control character U+{ord(found[0]):04X}; {_EXPECTED}")
    if len(value) > _MAX_LENGTH:
        raise PayloadError(f"{what} has {len(value)} characters; at most {_MAX_LENGTH} are allowed")
    found_mailboxes: dict[str, Mailbox] = {}
    for tokens in _split(value):
        mailbox = _mailbox(tokens, what)
        found_mailboxes.setdefault(mailbox.addr_spec, mailbox)
    if not found_mailboxes:
        raise PayloadError(f"{what} is empty; {_EXPECTED}")
    if len(found_mailboxes) > MAX_RECIPIENTS:
        raise PayloadError(
            f"{what} has {len(found_mailboxes)} recipients; at most {MAX_RECIPIENTS} are allowed"
        )
    return tuple(found_mailboxes.values())


def _split(value: str) -> list[list[str]]:
    """Split text at commas and semicolons outside quotes and brackets, each part into tokens."""
    parts: list[list[str]] = [[]]
    for token in _TOKEN.findall(value):
        if token in (",", ";"):
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if "".join(part).strip()]


def _mailbox(tokens: list[str], what: str) -> Mailbox:
    text = "".join(tokens).strip()
    angled = [token for token in tokens if token.startswith("<") and token.endswith(">")]
    comments = [token for token in tokens if token.startswith("(") and token.endswith(")")]
    rest = [token for token in tokens if token not in angled and token not in comments]
    if not angled:
        name = comments[0][1:-1] if comments else ""
        return Mailbox(_address("".join(rest).strip(), text, what), _display_name(name))
    is_last = "".join(tokens[tokens.index(angled[0]) + 1 :]).strip() in ("", *comments)
    if len(angled) > 1 or not is_last:
        raise _no_address(text, what, "the address in <> is not the last part")
    name = "".join(_unquoted(token) for token in rest)
    return Mailbox(_address(angled[0][1:-1].strip(), text, what), _display_name(name))


def _unquoted(token: str) -> str:
    if len(token) > 1 and token.startswith('"') and token.endswith('"'):
        return re.sub(r"\\(.)", r"\1", token[1:-1])
    return token


def _display_name(name: str) -> str:
    return " ".join(name.split())[:_MAX_NAME_LENGTH]


def _address(address: str, text: str, what: str) -> str:
    """Return an address with its domain in ASCII."""
    if ENCODED_WORD_START in address:
        raise PayloadError(
            f"{what} is {_shown(text)}: {ENCODED_WORD_START!r}, the start of an RFC 2047 encoded "
            f"word, is not part of an address; {_EXPECTED}"
        )
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain:
        raise _no_address(text, what, "an address has a name, an @ and a domain")
    if len(address) > _MAX_ADDRESS_LENGTH:
        raise _no_address(text, what, f"it has more than {_MAX_ADDRESS_LENGTH} characters")
    if _LOCAL.fullmatch(local):
        return f"{local}@{_ascii_domain(domain, text, what)}"
    parsed = _parsed(address, text, what)
    return parsed.ascii_email or f"{parsed.local_part}@{parsed.ascii_domain}"


def _parsed(address: str, text: str, what: str) -> ValidatedEmail:
    """Read an address outside ASCII."""
    try:
        return validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise _no_address(text, what, str(error).rstrip(".")) from error


def _ascii_domain(domain: str, text: str, what: str) -> str:
    if _DOMAIN.fullmatch(domain):
        return domain
    if domain.startswith("[") and domain.endswith("]"):
        literal = domain[1:-1]
        try:
            ipaddress.ip_address(literal.removeprefix("IPv6:"))
        except ValueError as error:
            raise _no_address(text, what, f"{domain} is not an IP address") from error
        return domain
    return _parsed(f"postmaster@{domain}", text, what).ascii_domain


def _no_address(text: str, what: str, reason: str) -> PayloadError:
    return PayloadError(f"{what} is not an e-mail address: {_shown(text)}: {reason}; {_EXPECTED}")


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 1] + "…")
