"""The mailer behind the module-level functions: made from the environment, or set by hand."""

from __future__ import annotations

import functools
import threading

from oxcart import App, Timeouts
from oxcart.errors import ConfigError
from oxcart.mail.jobs import EmailJobs
from oxcart.mail.mailer import Mailer
from oxcart.mail.outgoing import open_transport
from oxcart.settings import Settings
from oxcart.sqs.broker import built_in_broker

_TIMEOUTS = Timeouts(command="2s")
"""Shorter than a worker's: somebody's web request may be waiting."""

_lock = threading.Lock()
_mailer: Mailer | None = None
_app: App | None = None


def configure(mailer: Mailer | None) -> None:
    """Set the mailer that the module-level functions use.

    Args:
        mailer: the mailer; ``None``: make one from the environment when it is next needed.
    """
    global _mailer  # noqa: PLW0603  # a default that all of the program shares
    with _lock:
        _mailer = mailer


def default_mailer() -> Mailer:
    """Give the mailer that the module-level functions use, made from the environment at first.

    Raises:
        ConfigError: the environment's settings are wrong.
    """
    global _mailer, _app  # noqa: PLW0603  # see configure
    with _lock:
        if _mailer is None:
            settings = Settings.from_env()
            broker = built_in_broker(settings)
            if settings.is_production and settings.redis_url is None and broker is None:
                raise ConfigError("REDIS_URL is not set, and this is production")
            _app = _app or App(
                settings.redis_url,
                prefix=settings.prefix,
                data_dir=settings.data_dir,
                timeouts=_TIMEOUTS,
                broker=broker,
            )
            _mailer = Mailer(
                EmailJobs.from_settings(_app, settings),
                functools.partial(open_transport, settings),
            )
        return _mailer


async def aclose() -> None:
    """Close the connections of the mailer that was made from the environment."""
    global _mailer, _app  # see configure
    with _lock:
        app, _app, _mailer = _app, None, None
    if app is not None:
        await app.aclose()
