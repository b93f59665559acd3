"""Settings together: what a program cannot do without, and what contradicts what.

Every rule is here alone. Commands ask all of them before they start (``checks``); the parts
of the library that could not work without one ask that one again when they are made by hand.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from oxcart._model.ids import check_prefix, check_queue_name
from oxcart._settings.identity_rules import hook_problems, session_problems, token_problems
from oxcart._settings.letterhead import check_app_url, parse_sender
from oxcart._settings.networks import edge_problems
from oxcart._settings.secret_strength import MIN_CHARS, weak_secrets, weakness_of
from oxcart._settings.values import Problem, mask_url
from oxcart.errors import ConfigError

if TYPE_CHECKING:
    from oxcart.settings import Settings

MIN_SECRET_CHARS = 16
"""A shorter signing secret is refused in development too."""
_IMPLICIT_TLS_PORT = 465
BUILT_IN_QUEUES = ("email", "export")
"""Where the built-in system's jobs wait."""
_MAKE_ONE = 'make one with: python -c "import secrets; print(secrets.token_urlsafe(32))"'
_WANTED_SECRET = f"production needs at least {MIN_CHARS} random characters; {_MAKE_ONE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a program does, and so which settings it cannot do without.

    Attributes:
        redis: it adds or takes jobs of the built-in system.
        database: it reads or writes the exports' rows.
        signing: it signs download links.
        mail: it sends e-mails.
        http: it answers requests.
        takes_jobs: it runs jobs that wait in Redis.
        is_for_development: it has no business in production.
    """

    redis: bool = True
    database: bool = True
    signing: bool = True
    mail: bool = False
    http: bool = False
    takes_jobs: bool = False
    is_for_development: bool = False


def problems_of(settings: Settings, needs: Needs) -> Iterator[Problem]:
    """Everything that keeps a program from working with these settings."""
    if needs.is_for_development and settings.is_production:
        yield Problem("OXCART_ENV", "is 'production': this command is for development")
        return
    if needs.redis:
        yield from redis_problems(settings)
    if needs.takes_jobs and settings.broker == "sqs":
        yield Problem(
            "OXCART_BROKER",
            "is 'sqs', and workers take jobs from Redis: run the jobs of SQS in Lambda, or leave "
            "it out",
        )
    if needs.database:
        yield from database_problems(settings)
    if needs.signing:
        yield from secret_problems(settings)
    if needs.mail:
        yield from mail_problems(settings)
    if needs.mail or needs.http:  # the API queues mails, and sends them itself without Redis
        yield from letterhead_problems(settings)
    if needs.mail or needs.http:
        yield from webhook_problems(settings)
    if needs.http:
        yield from key_problems(settings)
        yield from incoming_problems(settings)
        yield from session_problems(settings)
        yield from token_problems(settings)
        yield from hook_problems(settings)
        yield from metrics_problems(settings)
        yield from edge_problems(settings)


def metrics_problems(settings: Settings) -> Iterator[Problem]:
    """Whose figures monitors are shown."""
    variable = "OXCART_METRICS_QUEUES"
    for queue in settings.metrics_queues:
        try:
            check_queue_name(queue)
        except ConfigError as error:
            yield Problem(variable, f"has {queue!r}, which can be no queue's name: {error}")
    in_sqs = {item.partition("=")[0].strip() for item in settings.sqs_queues}
    missing = sorted(set(settings.metrics_queues) - in_sqs)
    if settings.broker == "sqs" and missing:
        yield Problem(
            variable,
            f"has {', '.join(missing)}, and OXCART_SQS_QUEUES says no URL in SQS for that",
        )


def incoming_problems(settings: Settings) -> Iterator[Problem]:
    """What webhooks that come in are signed with."""
    from oxcart.webhooks.signatures import parse_verifier

    for text in settings.webhook_incoming_secrets:
        try:
            parse_verifier(text)
        except ConfigError as error:
            yield Problem("OXCART_WEBHOOK_INCOMING_SECRETS", f"cannot be used: {error}")


def webhook_problems(settings: Settings) -> Iterator[Problem]:
    """Where webhooks go, and what they are signed with."""
    if not settings.webhook_endpoints:
        for name in ("secrets", "events"):
            if getattr(settings, f"webhook_{name}"):
                yield Problem(
                    f"OXCART_WEBHOOK_{name.upper()}",
                    "is set, and OXCART_WEBHOOK_ENDPOINTS is not: it wants name=url there",
                )
        return
    if find_spec("httpcore2") is None:
        yield Problem(
            "OXCART_WEBHOOK_ENDPOINTS",
            "is set, and the HTTP client is not installed: pip install 'oxcart[webhooks]'",
        )
        return
    from oxcart.webhooks.addresses import AddressPolicy
    from oxcart.webhooks.endpoints import parse_endpoints
    from oxcart.webhooks.schedule import RetrySchedule

    yield from _watched_problems(settings)
    hosts, policy = settings.webhook_allowed_hosts, AddressPolicy()
    try:
        policy = AddressPolicy.parse(hosts, is_development=not settings.is_production)
    except ConfigError as error:
        yield Problem("OXCART_WEBHOOK_ALLOWED_HOSTS", f"cannot be used: {error}")
    try:
        RetrySchedule.parse(settings.webhook_waits)
    except ConfigError as error:
        yield Problem("OXCART_WEBHOOK_WAITS", f"cannot be used: {error}")
    try:
        endpoints = parse_endpoints(
            settings.webhook_endpoints, settings.webhook_secrets, settings.webhook_events
        )
        for endpoint in endpoints:
            endpoint.check(policy)
    except ConfigError as error:
        text = str(error).replace("key of webhooks", "secret")
        kind = next((item for item in ("SECRETS", "EVENTS") if item[:-1].lower() in text), None)
        yield Problem(f"OXCART_WEBHOOK_{kind or 'ENDPOINTS'}", f"cannot be used: {error}")
        return
    if settings.broker == "sqs":
        yield Problem(
            "OXCART_WEBHOOK_ENDPOINTS",
            "is set and OXCART_BROKER is 'sqs': webhooks are delivered by workers, through Redis",
        )


def _watched_problems(settings: Settings) -> Iterator[Problem]:
    for item in settings.webhook_jobs:
        queue, separator, name = item.partition(":")
        if not queue or (separator and not name) or queue == "webhook":
            text = f"has {item!r}: it wants queue or queue:name, and not the queue webhook itself"
            yield Problem("OXCART_WEBHOOK_JOBS", text)


def redis_problems(settings: Settings) -> Iterator[Problem]:
    """Where jobs are to go."""
    try:
        check_prefix(settings.prefix)
    except ConfigError as error:
        yield Problem("OXCART_PREFIX", f"is wrong: {error}")
    if settings.broker == "sqs":
        yield from sqs_problems(settings)
    elif settings.is_production and settings.redis_url is None:
        yield _missing("REDIS_URL", "the server, as redis://host:6379/0")


def sqs_problems(settings: Settings) -> Iterator[Problem]:
    """Where jobs are to go in SQS."""
    from oxcart.sqs.addresses import DEAD_LETTERS_VARIABLE, QUEUES_VARIABLE, parse_addresses

    if find_spec("boto3") is None:
        yield Problem(
            "OXCART_BROKER", "is 'sqs', and boto3 is not installed: pip install 'oxcart[sqs]'"
        )
    try:
        named = parse_addresses(settings.sqs_queues, settings.sqs_dead_letter_queues)
    except ConfigError as error:
        text = str(error)
        is_dead = text.startswith(DEAD_LETTERS_VARIABLE)
        variable = DEAD_LETTERS_VARIABLE if is_dead else QUEUES_VARIABLE
        yield Problem(variable, text.removeprefix(variable).lstrip())
        return
    missing = [queue for queue in BUILT_IN_QUEUES if queue not in named]
    if missing:
        yield Problem(
            QUEUES_VARIABLE,
            f"names no queue in SQS for {' and '.join(missing)}: it wants one for each of "
            f"{' and '.join(BUILT_IN_QUEUES)}",
        )


def database_problems(settings: Settings) -> Iterator[Problem]:
    """Where the rows are."""
    if settings.database_url is None:
        if settings.is_production:
            yield _missing("DATABASE_URL", "the database, as postgresql://user:password@host/name")
        return
    from oxcart.database.urls import parse_url

    try:
        url = parse_url(settings.database_url)
    except ConfigError as error:
        yield Problem("DATABASE_URL", str(error).removeprefix("DATABASE_URL "))
        return
    if not url.is_sqlite and find_spec("psycopg") is None:
        yield Problem(
            "DATABASE_URL",
            "names PostgreSQL, whose driver is not installed: pip install 'oxcart[postgres]'",
        )


def secret_problems(settings: Settings) -> Iterator[Problem]:
    """What links are signed with."""
    for old in settings.old_signing_secrets:
        weakness = weakness_of(old) if settings.is_production else None
        if weakness is not None or len(old) < MIN_SECRET_CHARS:
            found = weakness or f"has {len(old)} characters"
            yield Problem("OXCART_OLD_SIGNING_SECRETS", f"{found}: {_WANTED_SECRET}")
    secret = settings.signing_secret
    if secret is None:
        if settings.is_production:
            yield _missing(
                "OXCART_SIGNING_SECRET",
                f"a secret, the same for the API and every worker; {_MAKE_ONE}",
            )
        return
    if settings.is_production:
        weakness = weakness_of(secret)
        if weakness is not None:
            yield Problem("OXCART_SIGNING_SECRET", f"{weakness}: {_WANTED_SECRET}")
    elif len(secret) < MIN_SECRET_CHARS:
        yield Problem(
            "OXCART_SIGNING_SECRET",
            f"has {len(secret)} characters: it needs at least {MIN_SECRET_CHARS}, and "
            f"{MIN_CHARS} in production; {_MAKE_ONE}",
        )
    if secret in settings.operator_keys or secret in settings.service_keys:
        yield Problem(
            "OXCART_SIGNING_SECRET",
            "is also an API key: a client that has the key could sign links to any file; "
            f"{_MAKE_ONE}",
        )


def key_problems(settings: Settings) -> Iterator[Problem]:
    """Who may call the API."""
    by_variable = {
        "OXCART_OPERATOR_KEYS": settings.operator_keys,
        "OXCART_SERVICE_KEYS": settings.service_keys,
    }
    if settings.is_production:
        if not any(by_variable.values()) and not settings.accepts_users:
            yield _missing(
                " or ".join(by_variable),
                "an API key, or NEXTAUTH_SECRET or AUTH_SECRET, which let the site's users in; "
                f"without any of them the API refuses every request; {_MAKE_ONE}",
            )
        for variable, keys in by_variable.items():
            yield from weak_secrets(variable, keys, f"has a key that {{}}: {_WANTED_SECRET}")
    if set(settings.operator_keys) & set(settings.service_keys):
        yield Problem(
            "OXCART_SERVICE_KEYS",
            "has a key that OXCART_OPERATOR_KEYS has too: a key cannot have both roles",
        )


def mail_problems(settings: Settings) -> Iterator[Problem]:
    """How mail leaves; without ``SMTP_HOST`` development keeps it in a folder."""
    if settings.is_production:
        if settings.smtp_host is None:
            yield _missing("SMTP_HOST", "the SMTP server's name, or SMTP_USER and SMTP_PASS alone")
        if settings.smtp_from is None:
            yield _missing(
                "SMTP_FROM",
                'the sender of your mails, as "Name" <name@domain>; the built-in one is for '
                "development",
            )
    pair = {"SMTP_USER": settings.smtp_user, "SMTP_PASS": settings.smtp_password}
    for variable, value in pair.items():
        if value is None and any(pair.values()):
            (other,) = pair.keys() - {variable}
            yield Problem(variable, f"is not set, but {other} is: a log-in needs both")
    if settings.smtp_port == _IMPLICIT_TLS_PORT and settings.smtp_tls in ("starttls", "none"):
        yield Problem(
            "OXCART_SMTP_TLS",
            f"is {settings.smtp_tls!r} and SMTP_PORT is {_IMPLICIT_TLS_PORT}, where TLS begins "
            "with the first byte: it wants implicit or auto, or SMTP_PORT=587",
        )
    if sends_password_in_clear(settings):
        yield Problem(
            "OXCART_SMTP_TLS",
            f"is 'none' and SMTP_USER is set: the password would go to {settings.smtp_host} in "
            "clear; it wants auto, starttls or implicit",
        )


def letterhead_problems(settings: Settings) -> Iterator[Problem]:
    """In whose name mails are sent, and where their links lead."""
    # Without the library there are no mails either, and the program says so itself.
    if find_spec("email_validator") is not None:
        try:
            parse_sender(settings.sender)
        except ConfigError as error:
            yield Problem("SMTP_FROM", f"is {settings.sender!r}: {error}")
    try:
        check_app_url(settings.app_url)
    except ConfigError as error:
        yield Problem("NEXTAUTH_URL or APP_URL", f"is {mask_url(settings.app_url)!r}: {error}")


def sends_password_in_clear(settings: Settings) -> bool:
    """Whether the log-in at the SMTP server could be read on its way."""
    return (
        settings.smtp_tls == "none"
        and settings.smtp_user is not None
        and settings.smtp_host is not None
        and not is_loopback(settings.smtp_host)
    )


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine itself, going by its name alone."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _missing(variable: str, wish: str) -> Problem:
    return Problem(variable, f"is not set, and this is production: it wants {wish}")
