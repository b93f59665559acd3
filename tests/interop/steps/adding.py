"""Adding jobs."""

from __future__ import annotations

from typing import Any

from tests.interop import older_release
from tests.interop.deliberate import is_refused_on_purpose
from tests.interop.node_options import spec_of
from tests.interop.registry import JOB_OPTIONS, operation
from tests.interop.session import Session
from tests.interop.vectors import Step

from oxcart.errors import ConfigError


@operation("add", fields="name data", options=JOB_OPTIONS)
async def add(session: Session, step: Step) -> Any:
    try:
        job = await session.queue(step).add_spec(spec_of(step))
    except ConfigError:
        if is_refused_on_purpose(step):
            return older_release.write_job(session.client, session.keys(step).base, step)
        raise
    except TypeError:
        # There is no such option. The runner gets here only where BullMQ refuses the step too.
        return {"refused": True}
    return {"jobId": job.id}


@operation("addBulk", fields="jobs", options=JOB_OPTIONS)
async def add_bulk(session: Session, step: Step) -> Any:
    jobs = await session.queue(step).add_many([spec_of(job) for job in step["jobs"]])
    return {"jobIds": [job.id for job in jobs]}
