"""Every setting of the built-in system, read from the environment in one place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from oxcart._settings import old_system
from oxcart._settings.authentication import (
    AUTHENTICATION_SECRETS,
    AUTHENTICATION_VARIABLES,
    AuthenticationSettings,
)
from oxcart._settings.forms import (
    Days,
    Dsn,
    NotNegative,
    Port,
    Positive,
    Rate,
    RedisUrl,
    Seconds,
    WebUrl,
)
from oxcart._settings.start_mode import contradiction, without_foreign_mode
from oxcart._settings.values import Problem, read_values, refusal


class Settings(AuthenticationSettings, frozen=True, kw_only=True):
    """The settings, each with the environment variable that sets it (``ENVIRONMENT``)."""

    env: Literal["development", "production", "test"] = "development"
    """Where this runs. Production refuses everything that is only good for development."""
    data_dir: Path = Path(".oxcart")
    """Folder of the embedded Valkey, the SQLite file, the development mailbox and the exports."""
    redis_url: RedisUrl | None = None
    """Redis or Valkey: a server, a cluster or Sentinels; default: a private one in ``data_dir``."""
    redis_connect_seconds: Seconds = 0.5
    """How long a connection to the server may take to be made."""
    redis_command_seconds: Seconds | None = None
    """How long the server may be silent during a command; without it 5, in the API 2."""
    prefix: str = "bull"
    """Prefix of every key, as BullMQ's."""
    broker: Literal["redis", "sqs"] = "redis"
    """Where jobs wait: in Redis, or in SQS, whose jobs run in Lambda."""
    sqs_queues: tuple[str, ...] = ()
    """Each queue's URL in SQS, as ``name=url``."""
    sqs_dead_letter_queues: tuple[str, ...] = ()
    """The URL of the SQS queue that takes each queue's failed jobs, as ``name=url``."""
    server_security: Literal["warn", "require"] = "warn"
    """What production does about servers on the network without TLS or a password."""
    database_url: str | None = None
    """SQLAlchemy or ``postgresql://`` URL; without it SQLite in ``data_dir``."""

    smtp_host: str | None = None
    smtp_port: Port = 587
    smtp_user: str | None = None
    smtp_password: str | None = None
    smtp_from: str | None = None
    """The sender of mails; production does not send any without it."""
    smtp_tls: Literal["auto", "starttls", "implicit", "none"] = "auto"
    """``auto``: implicit on port 465, none on loopback, else STARTTLS (required)."""
    smtp_check_seconds: Seconds = 30
    """The longest time between two checks of an SMTP server that takes no mail at all."""
    emails_per_recipient: NotNegative = 100
    """How many e-mails a recipient gets within an hour; 0: any number."""

    app_name: str = "Cofactor Club"
    app_url: WebUrl = "http://localhost:3000"
    """The web application that links in e-mails lead to."""
    mail_templates: Path | None = None
    """Folder of templates that replace those of the built-in e-mails."""

    api_host: str = "127.0.0.1"
    api_port: Port = 8400
    api_url: WebUrl | None = None
    """The API as its clients reach it; without it ``http://{api_host}:{api_port}``."""
    operator_keys: tuple[str, ...] = ()
    """API keys that may see and do everything."""
    service_keys: tuple[str, ...] = ()
    """API keys that act for the user named in the header ``X-Oxcart-User``."""
    signing_secret: str | None = None
    """Signs download links; made and kept in ``data_dir`` in development."""
    old_signing_secrets: tuple[str, ...] = ()
    """Signing secrets that were replaced; links and tickets made with them stay good."""
    max_body_bytes: Positive = 1_048_576
    exports_per_hour: NotNegative = 100
    """How many exports a user may ask for within an hour; 0: any number."""
    unfinished_exports: NotNegative = 20
    """How many unfinished exports a user may have at a time; 0: any number."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks of proxies whose ``X-Forwarded-*`` headers are believed."""
    cors_origins: tuple[str, ...] = ()
    """Exact origins of pages that may call the API from a browser, with credentials."""
    max_connections: Positive = 4000
    """How many connections one API process holds at a time."""
    link_seconds: Positive = 3600
    """How long a signed download link is good for."""
    files_url: WebUrl | None = None
    """Where browsers reach the files of exports, such as the site; default: the API's own URL."""
    file_links: Literal["session", "signed"] = "session"
    """What the URL in an export's row needs: the user's session or key, or nothing, because it is
    signed for as long as the file is kept."""

    max_streams: Positive = 1000
    """How many streams of events and long polls may be open in a process."""
    max_streams_per_user: Positive = 20
    """How many of them may be one user's."""
    ticket_seconds: Positive = 900
    """How long a ticket is good for, by which a browser follows one job."""

    storage_dir: Path | None = None
    """Where finished exports are kept; without it ``data_dir``/exports."""
    export_days: Days = 7
    """For how many days a finished export's file is kept; 0: until its user is deleted."""
    outbox: Literal["own", "all"] = "own"
    """Which rows without a job the outbox queues: those that oxcart made, or the site's as well."""
    email_concurrency: Positive = 5
    export_concurrency: Positive = 2
    grace_seconds: Positive = 30
    """How long a stopping worker lets running jobs finish."""
    build: str | None = None
    """The version of the application that runs, such as a Git commit; shown with its workers."""
    unknown_job_seconds: NotNegative = 21_600
    """How long a job that no worker knows is put back before it fails; 0: it fails at once."""
    max_stalled: NotNegative | Literal["attempts"] = 1
    """How many deaths of its process a job is forgiven; "attempts": each uses up an attempt."""
    processes: NotNegative = 1
    """How many processes a worker runs jobs in; 0: in its own, which nobody watches over."""
    frozen_seconds: Positive = 90
    """How long a worker's process may stand still, or its loop be blocked, before it is killed."""
    start_seconds: Positive = 90
    """How long a worker's process may take to start, imports included, before it is killed."""
    webhook_endpoints: tuple[str, ...] = ()
    """Where webhooks are posted to, as ``name=url``."""
    webhook_secrets: tuple[str, ...] = ()
    """What each endpoint's webhooks are signed with, as ``name=whsec_…``; several to rotate."""
    webhook_events: tuple[str, ...] = ()
    """Which events each endpoint gets, as ``name=export.*``; without it ``export.*``."""
    webhook_jobs: tuple[str, ...] = ()
    """Queues, as ``queue`` or ``queue:name``, the ends of whose jobs are reported."""
    webhook_allowed_hosts: tuple[str, ...] = ()
    """Internal hosts and networks that webhooks may be sent to, also by plain http."""
    webhook_waits: tuple[str, ...] = ()
    """The waits between the attempts of a delivery; without them 5 s to 24 h, ten attempts."""
    webhook_incoming_secrets: tuple[str, ...] = ()
    """Secrets, as ``whsec_…``, whose signatures ``POST /api/queues/webhook`` accepts."""
    webhook_file_hosts: tuple[str, ...] = ()
    """The hosts that a file reported to ``POST /api/queues/webhook`` may be at; without it any."""
    webhook_concurrency: Positive = 5
    """How many webhooks are sent at a time."""
    webhook_keep_days: Positive = 30
    """How long deliveries that ended are kept, with the log of their attempts."""
    metrics_minutes: NotNegative = 1440
    """For how many minutes workers keep how many jobs finished in each; 0: they do not count."""
    metrics_queues: tuple[str, ...] = ()
    """Queues beside the built-in ones whose figures the API shows to monitors."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "console", "json"] = "auto"
    """``auto``: JSON in production, else text for people."""

    sentry_dsn: Dsn | None = None
    """Where errors are reported; without it Sentry's SDK is not even imported."""
    sentry_environment: str | None = None
    """What Sentry calls this deployment; without it ``env``."""
    sentry_release: str | None = None
    """What Sentry calls this version; without it the version of oxcart."""
    sentry_sample_rate: Rate = 1.0
    """Which part of the errors is reported."""
    health_dir: Path | None = None
    """Where running programs keep a file that they touch every few seconds; without it nowhere."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings from the environment.

        Args:
            environ: variables to read instead of ``os.environ``.

        Raises:
            ConfigError: naming every variable that is wrong, what it holds and what it wants.
        """
        environ = os.environ if environ is None else environ
        values, problems = read_environment(environ)
        if problems:
            raise refusal(problems)
        return cls(**values)

    @property
    def is_production(self) -> bool:
        """Whether development's conveniences are forbidden."""
        return self.env == "production"

    @property
    def logs_as_json(self) -> bool:
        """Whether log lines are JSON."""
        return self.log_format == "json" or (self.log_format == "auto" and self.is_production)

    @property
    def queue_places(self) -> dict[str, int]:
        """How many jobs of each built-in queue a worker runs at a time."""
        places = {"email": self.email_concurrency, "export": self.export_concurrency}
        return places | ({"webhook": self.webhook_concurrency} if self.webhook_endpoints else {})

    @property
    def sender(self) -> str:
        """The From line of mails."""
        return self.smtp_from or old_system.SENDER

    @property
    def base_url(self) -> str:
        """The API's own URL, without a trailing slash."""
        return (self.api_url or f"http://{self.api_host}:{self.api_port}").rstrip("/")

    @property
    def files_base_url(self) -> str:
        """The URL that the files of exports are below, without a trailing slash."""
        return (self.files_url or self.base_url).rstrip("/")

    def __repr__(self) -> str:
        """Show the settings with secrets masked."""
        shown = (f"{name}={self._shown(name)}" for name in self.__struct_fields__)
        return f"Settings({', '.join(shown)})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Show the settings with secrets masked, in rich's tracebacks and prints too."""
        return [
            (name, "***" if name in SECRET_FIELDS and getattr(self, name) else getattr(self, name))
            for name in self.__struct_fields__
        ]

    def _shown(self, name: str) -> str:
        value = getattr(self, name)
        return "'***'" if name in SECRET_FIELDS and value else repr(value)


ENVIRONMENT: dict[str, tuple[str, ...]] = {
    "env": ("OXCART_ENV", "NODE_ENV"),
    "data_dir": ("OXCART_DATA_DIR",),
    "redis_url": ("REDIS_URL",),
    "redis_connect_seconds": ("OXCART_REDIS_CONNECT_SECONDS",),
    "redis_command_seconds": ("OXCART_REDIS_COMMAND_SECONDS",),
    "prefix": ("OXCART_PREFIX",),
    "broker": ("OXCART_BROKER",),
    "sqs_queues": ("OXCART_SQS_QUEUES",),
    "sqs_dead_letter_queues": ("OXCART_SQS_DEAD_LETTER_QUEUES",),
    "server_security": ("OXCART_SERVER_SECURITY",),
    "database_url": ("DATABASE_URL",),
    "smtp_host": ("SMTP_HOST",),
    "smtp_port": ("SMTP_PORT",),
    "smtp_user": ("SMTP_USER",),
    "smtp_password": ("SMTP_PASS",),
    "smtp_from": ("SMTP_FROM",),
    "smtp_tls": ("OXCART_SMTP_TLS",),
    "smtp_check_seconds": ("OXCART_SMTP_CHECK_SECONDS",),
    "emails_per_recipient": ("OXCART_EMAILS_PER_RECIPIENT",),
    "outbox": ("OXCART_OUTBOX",),
    "app_name": ("OXCART_APP_NAME",),
    "app_url": ("NEXTAUTH_URL", "APP_URL"),
    "mail_templates": ("OXCART_MAIL_TEMPLATES",),
    "api_host": ("OXCART_API_HOST",),
    "api_port": ("OXCART_API_PORT",),
    "api_url": ("OXCART_API_URL",),
    "operator_keys": ("OXCART_OPERATOR_KEYS",),
    "service_keys": ("OXCART_SERVICE_KEYS",),
    **AUTHENTICATION_VARIABLES,
    "signing_secret": ("OXCART_SIGNING_SECRET",),
    "old_signing_secrets": ("OXCART_OLD_SIGNING_SECRETS",),
    "max_body_bytes": ("OXCART_MAX_BODY_BYTES",),
    "exports_per_hour": ("OXCART_EXPORTS_PER_HOUR",),
    "unfinished_exports": ("OXCART_UNFINISHED_EXPORTS",),
    "trusted_proxies": ("OXCART_TRUSTED_PROXIES",),
    "cors_origins": ("OXCART_CORS_ORIGINS",),
    "max_connections": ("OXCART_MAX_CONNECTIONS",),
    "link_seconds": ("OXCART_LINK_SECONDS",),
    "files_url": ("OXCART_FILES_URL",),
    "file_links": ("OXCART_FILE_LINKS",),
    "max_streams": ("OXCART_MAX_STREAMS",),
    "max_streams_per_user": ("OXCART_MAX_STREAMS_PER_USER",),
    "ticket_seconds": ("OXCART_TICKET_SECONDS",),
    "storage_dir": ("OXCART_STORAGE_DIR",),
    "export_days": ("OXCART_EXPORT_DAYS",),
    "email_concurrency": ("OXCART_EMAIL_CONCURRENCY",),
    "export_concurrency": ("OXCART_EXPORT_CONCURRENCY",),
    "grace_seconds": ("OXCART_GRACE_SECONDS",),
    "build": ("OXCART_BUILD",),
    "unknown_job_seconds": ("OXCART_UNKNOWN_JOB_SECONDS",),
    "max_stalled": ("OXCART_MAX_STALLED",),
    "processes": ("OXCART_PROCESSES",),
    "frozen_seconds": ("OXCART_FROZEN_SECONDS",),
    "start_seconds": ("OXCART_START_SECONDS",),
    "webhook_endpoints": ("OXCART_WEBHOOK_ENDPOINTS",),
    "webhook_secrets": ("OXCART_WEBHOOK_SECRETS",),
    "webhook_events": ("OXCART_WEBHOOK_EVENTS",),
    "webhook_jobs": ("OXCART_WEBHOOK_JOBS",),
    "webhook_allowed_hosts": ("OXCART_WEBHOOK_ALLOWED_HOSTS",),
    "webhook_waits": ("OXCART_WEBHOOK_WAITS",),
    "webhook_incoming_secrets": ("OXCART_WEBHOOK_INCOMING_SECRETS",),
    "webhook_file_hosts": ("OXCART_WEBHOOK_FILE_HOSTS",),
    "webhook_concurrency": ("OXCART_WEBHOOK_CONCURRENCY",),
    "webhook_keep_days": ("OXCART_WEBHOOK_KEEP_DAYS",),
    "metrics_minutes": ("OXCART_METRICS_MINUTES",),
    "metrics_queues": ("OXCART_METRICS_QUEUES",),
    "log_level": ("OXCART_LOG_LEVEL",),
    "log_format": ("OXCART_LOG_FORMAT",),
    "sentry_dsn": ("SENTRY_DSN",),
    "sentry_environment": ("OXCART_SENTRY_ENVIRONMENT", "SENTRY_ENVIRONMENT"),
    "sentry_release": ("OXCART_SENTRY_RELEASE", "SENTRY_RELEASE"),
    "sentry_sample_rate": ("OXCART_SENTRY_SAMPLE_RATE",),
    "health_dir": ("OXCART_HEALTH_DIR",),
}
"""Each setting's environment variables; the first that is set and not empty wins."""

SECRET_FIELDS = AUTHENTICATION_SECRETS | frozenset(
    {
        "redis_url",
        "database_url",
        "smtp_password",
        "operator_keys",
        "service_keys",
        "signing_secret",
        "old_signing_secrets",
        "webhook_secrets",
        "webhook_incoming_secrets",
        "sentry_dsn",
    }
)
"""Settings that are never shown: URLs may hold passwords."""


def read_environment(environ: Mapping[str, str]) -> tuple[dict[str, Any], list[Problem]]:
    """Read each setting that is set.

    Returns:
        The values by setting, without those that are wrong, and what is wrong with those.
    """
    environ = without_foreign_mode(environ)
    values, problems = read_values(Settings, ENVIRONMENT, environ, SECRET_FIELDS)
    text = contradiction(environ)
    if text is not None:
        problems.append(Problem(ENVIRONMENT["env"][0], text))
    if old_system.lacks_host_alone(values):
        values["smtp_host"] = old_system.SMTP_HOST
    return values, problems
