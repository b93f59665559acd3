"""The built-in system: e-mails and exports on one application, wired from the settings."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from oxcart._engine.ending import end
from oxcart._engine.middleware import Middleware
from oxcart._private_files import tighten_data_folder
from oxcart._store.connection import Timeouts
from oxcart.app import App, AppWorker
from oxcart.broker import Broker
from oxcart.database.engine import Database, open_database
from oxcart.errors import ConfigError
from oxcart.exports.expiry import ExportSweeper
from oxcart.exports.jobs import ExportJobs
from oxcart.exports.links import FOREVER, LinkSigner, old_signing_secrets, signing_secret
from oxcart.exports.outbox import Outbox
from oxcart.exports.quotas import ExportQuota
from oxcart.exports.records import ExportRecords
from oxcart.exports.service import ExportService
from oxcart.exports.storage import LocalStorage
from oxcart.mail.jobs import EmailJobs
from oxcart.mail.mailer import Mailer
from oxcart.mail.outgoing import open_transport, require_smtp
from oxcart.settings import Settings
from oxcart.system_broker import open_broker

if TYPE_CHECKING:
    from oxcart.webhooks.service import Webhooks


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The built-in system, open.

    Attributes:
        settings: what it was made from.
        app: the application on which its jobs are declared.
        database: the rows of the exports and of what they export.
        mailer: sends the e-mails.
        exports: takes requests for exports and hands out files.
        email_jobs: the e-mail jobs; a worker gives them their SMTP transport.
        outbox: queues the exports that could not be queued when they were asked for.
        sweeper: removes the files of exports that expired or whose user was deleted.
        broker: where jobs wait, if that is not Redis.
        webhooks: reports the ends of exports to endpoints, if the settings name any.
    """

    settings: Settings
    app: App
    database: Database
    mailer: Mailer
    exports: ExportService
    email_jobs: EmailJobs
    outbox: Outbox
    sweeper: ExportSweeper
    broker: Broker | None = None
    webhooks: Webhooks | None = None

    def worker(
        self,
        queues: Mapping[str, int] | None = None,
        *,
        name: str | None = None,
        grace: timedelta | None = None,
        middlewares: Sequence[Middleware] = (),
    ) -> AppWorker:
        """A worker for the e-mails and the exports, with the settings' concurrency and grace.

        Args:
            queues: how many jobs of each queue run at a time, instead of the settings'.
            name: kept with the jobs; default: host and process id.
            grace: how long running jobs may go on when it is stopped, instead of the settings'.
            middlewares: what runs around this worker's jobs.

        Raises:
            ConfigError: production without SMTP settings, a queue without jobs, or jobs in SQS.
        """
        if self.settings.broker == "sqs":
            raise ConfigError(
                "OXCART_BROKER is sqs, and workers take jobs from Redis: "
                "jobs in SQS are run in Lambda, by oxcart.serverless.handler"
            )
        if self.settings.is_production:
            require_smtp(self.settings)
        return self.app.worker(
            self.settings.queue_places if queues is None else queues,
            name=name,
            grace=grace or timedelta(seconds=self.settings.grace_seconds),
            metrics=self.settings.metrics_minutes or None,
            middlewares=middlewares,
        )

    async def run_worker(self, worker: AppWorker) -> None:
        """Run a worker until it is stopped, with what its jobs need around it."""
        async with AsyncExitStack() as stack:
            transport = await stack.enter_async_context(
                open_transport(self.settings, max_connections=worker.concurrency.get("email"))
            )
            sending = self.email_jobs.sending(
                transport, worker, check_seconds=self.settings.smtp_check_seconds
            )
            await stack.enter_async_context(sending)
            await stack.enter_async_context(self.running_outbox())
            await worker.run()

    async def look_after_exports(self) -> None:
        """Queue the exports that wait and remove expired ones, once.

        For hosts on which no program runs for long enough to do so by itself.
        """
        await self.outbox.look()
        await self.sweeper.try_sweep()

    @asynccontextmanager
    async def running_outbox(self) -> AsyncIterator[None]:
        """Queue the exports and webhooks that wait, remove expired exports, within the block."""
        parts = [self.outbox.run(), self.sweeper.run()]
        if self.webhooks is not None:
            parts.append(self.webhooks.relay.run())
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part) for part in parts]
            try:
                yield
            finally:
                await end(*tasks)


@asynccontextmanager
async def open_system(
    settings: Settings, *, timeouts: Timeouts | None = None
) -> AsyncIterator[System]:
    """Open the built-in system.

    The database is migrated, except in production: there ``oxcart migrate`` does it.

    Args:
        settings: what it is made from.
        timeouts: how long to wait for Redis.

    Raises:
        ConfigError: a setting is wrong or missing.
        DatabaseError: the database cannot be used, or must be migrated first.
    """
    tighten_data_folder(settings.data_dir)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings))
        broker = open_broker(settings, database)
        app = await stack.enter_async_context(
            App(
                settings.redis_url,
                prefix=settings.prefix,
                data_dir=settings.data_dir,
                build=settings.build,
                timeouts=timeouts,
                broker=broker,
            )
        )
        yield build_system(settings, app, database, broker=broker)


@asynccontextmanager
async def open_sweeper(settings: Settings) -> AsyncIterator[ExportSweeper]:
    """Open what removes the files of expired exports, without the rest of the system.

    Raises:
        ConfigError: a setting is wrong or missing.
        DatabaseError: the database cannot be used, or must be migrated first.
    """
    async with open_database(settings) as database:
        yield ExportSweeper(database, _storage_of(settings), keep_for=_keep_for(settings))


def build_system(
    settings: Settings, app: App, database: Database, *, broker: Broker | None = None
) -> System:
    """Wire the parts of the system on an application and a database."""
    storage = _storage_of(settings)
    keep_for = _keep_for(settings)
    signer = LinkSigner(
        signing_secret(settings),
        old_secrets=old_signing_secrets(settings),
        base_url=settings.files_base_url,
        lifetime=timedelta(seconds=settings.link_seconds),
        row_lifetime=(keep_for or FOREVER) if settings.file_links == "signed" else None,
    )
    webhooks, on_ended = None, None
    if settings.webhook_endpoints and settings.broker == "redis":
        from oxcart.system_webhooks import open_webhooks, reporter

        webhooks = open_webhooks(settings, app, database)
        on_ended = reporter(webhooks.outbox)
    quota = ExportQuota(per_hour=settings.exports_per_hour, unfinished=settings.unfinished_exports)
    records = ExportRecords(database, on_ended=on_ended, quota=quota)
    export_jobs = ExportJobs(
        app, database=database, storage=storage, signer=signer, records=records
    )
    email_jobs = EmailJobs.from_settings(app, settings)
    return System(
        settings=settings,
        app=app,
        database=database,
        mailer=Mailer(email_jobs, functools.partial(open_transport, settings)),
        exports=ExportService(
            jobs=export_jobs, records=records, storage=storage, signer=signer, keep_for=keep_for
        ),
        email_jobs=email_jobs,
        outbox=Outbox(jobs=export_jobs, records=records, adopts_all=settings.outbox == "all"),
        sweeper=ExportSweeper(database, storage, keep_for=keep_for),
        broker=broker,
        webhooks=webhooks,
    )


def _storage_of(settings: Settings) -> LocalStorage:
    return LocalStorage(settings.storage_dir or settings.data_dir / "exports")


def _keep_for(settings: Settings) -> timedelta | None:
    return timedelta(days=settings.export_days) if settings.export_days else None
