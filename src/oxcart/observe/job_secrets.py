"""Keeping the secrets that an application's jobs declare out of logs and reports."""

from __future__ import annotations

import weakref

from oxcart import App, CallNext, JobContext
from oxcart.observe.hiding import hide_names, hider
from oxcart.observe.job_context import note_failed

_watched: weakref.WeakSet[App] = weakref.WeakSet()


def hide_secrets_of(app: App) -> None:
    """Hide what the jobs of an application declare as ``secrets``.

    Call it when the jobs are declared, before the worker is made. The worker logs an error that
    a job raised after the job's run: a middleware sees to it that its payload's secrets are known
    then. An application whose jobs declare none gets no middleware.
    """
    names = {name for job in app.registry.values() for name in job.secrets}
    hide_names(names)
    if names and app not in _watched:
        _watched.add(app)
        app.middleware(_note_failure)


async def _note_failure(job: JobContext, call_next: CallNext) -> object:
    try:
        return await call_next(job)
    except BaseException:
        note_failed(job, hider().names)
        raise
