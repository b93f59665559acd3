"""Examples of requests and answers, and the refusals of each route, for the OpenAPI document.

Keys are the method and the path as in the document. The tests check every example against its
schema, and real answers against the document.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oxcart.http.problems import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

Examples = dict[str, Any]
"""Values by the names of the examples."""

_ID = "cm3v8q2k40001qwertyuiop01"
_TOKEN = "t1.WyJleHBvcnQiLCJjbTN2OHEyazQiLCJ1MSIsMTc3MjYxMTk2N10.c2lnbmF0dXJl"  # noqa: S105
_TICKET = {
    "token": _TOKEN,
    "expiresAt": "2026-03-04T05:21:07.000Z",
    "statusPath": f"/api/exports/{_ID}?ticket={_TOKEN}",
    "eventsPath": f"/api/exports/{_ID}/events?ticket={_TOKEN}",
}
_PENDING = {
    "id": _ID,
    "status": "PENDING",
    "type": "MEMBERS",
    "createdAt": "2026-03-04T05:06:07.089Z",
}
_COMPLETED = {
    "id": _ID,
    "type": "MEMBERS",
    "status": "COMPLETED",
    "fileUrl": f"https://www.example.org/api/exports/{_ID}/file?expires=1772604367&signature=5f3c",
    "createdAt": "2026-03-04T05:06:07.089Z",
    "completedAt": "2026-03-04T05:06:09.512Z",
}
_JOB = {
    "id": _ID,
    "state": "active",
    "type": "MEMBERS",
    "createdAt": 1772600767089,
    "processedOn": 1772600767105,
    "attemptsMade": 0,
    "progress": {"percent": 40, "rows": 4000, "total": 10000, "phase": "writing"},
    "data": {"exportJobId": _ID, "userId": "user_1", "type": "MEMBERS"},
}
_FAILED_JOB = _JOB | {
    "state": "failed",
    "finishedOn": 1772600770512,
    "attemptsMade": 3,
    "failedReason": "no space left on device",
}
_QUEUE = {
    "name": "export",
    "isHealthy": True,
    "isPaused": False,
    "waitingCount": 2,
    "activeCount": 1,
    "delayedCount": 0,
    "waitingChildrenCount": 0,
    "completedCount": 50,
    "failedCount": 1,
    "failedLatelyCount": 0,
    "completedLastMinute": 12,
    "failedLastMinute": 0,
    "unlockedCount": 0,
    "oldestWaitingSeconds": 0.4,
    "workerCount": 2,
    "pausedWorkerCount": 0,
    "namesWithoutWorker": {},
    "problems": [],
}
_QUEUES = {
    "success": True,
    "overallStatus": "healthy",
    "timestamp": "2026-03-04T05:06:07.089Z",
    "broker": "redis",
    "isConnected": True,
    "url": "redis://redis:6379/0",
    "error": None,
    "queues": [_QUEUE],
}
_HEALTH = {
    "status": "healthy",
    "timestamp": "2026-03-04T05:06:07.089Z",
    "checks": {"database": {"status": "healthy"}, "queues": {"status": "healthy"}},
}
_JOB_EVENTS = (
    "retry: 2000\nid: 1772600767089-1\nevent: status\n"
    'data: {"id": "7", "state": "waiting", "type": "MEMBERS"}\n\n'
    'id: 1772600767105-0\nevent: state\ndata: {"state": "active"}\n\n'
    'id: 1772600768000-0\nevent: progress\ndata: {"progress": {"percent": 40}}\n\n'
    ": heartbeat\n\n"
    "id: 1772600769512-0:end\nevent: end\n"
    'data: {"id": "7", "state": "completed", "type": "MEMBERS"}\n\n'
)
_EXPORT_EVENTS = (
    "retry: 2000\nid: 1772600767089-1\nevent: status\n"
    f'data: {{"id": "{_ID}", "type": "MEMBERS", "status": "PENDING"}}\n\n'
    'id: 1772600768000-0\nevent: progress\ndata: {"progress": {"percent": 40}}\n\n'
    "id: 1772600769512-0:end\nevent: end\n"
    f'data: {{"id": "{_ID}", "type": "MEMBERS", "status": "COMPLETED"}}\n\n'
)
_METRICS = 'oxcart_queue_jobs{queue="export",state="waiting"} 2.0\n'

_KEY = (Kind.UNAUTHENTICATED, Kind.TOO_MANY_GUESSES)
_USER = (*_KEY, Kind.NO_USER)
_BODY = (
    Kind.INVALID_JSON,
    Kind.INVALID_FIELDS,
    Kind.REQUEST_TIMEOUT,
    Kind.TOO_LARGE,
    Kind.UNSUPPORTED_MEDIA_TYPE,
)
_WATCHED = (
    *_USER,
    Kind.INVALID_FIELDS,
    Kind.TICKET_INVALID,
    Kind.TICKET_EXPIRED,
    Kind.FORBIDDEN,
    Kind.NOT_FOUND,
    Kind.TOO_MANY_STREAMS,
    Kind.STREAMS_FULL,
)
_EXPORT_WATCHED = (*_WATCHED, Kind.DATABASE_UNAVAILABLE)
_JOB_WATCHED = (*_WATCHED, Kind.QUEUE_UNAVAILABLE)
_TICKETS = (*_USER, Kind.FORBIDDEN, Kind.CROSS_SITE, Kind.NOT_FOUND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What is added to one route of the document.

    Attributes:
        answers: examples by status.
        problems: how the route refuses requests, beside what every route may answer.
        request: examples of the body.
    """

    answers: Mapping[str, Examples]
    problems: tuple[Kind, ...] = ()
    request: Examples = field(default_factory=dict)


DETAILS: Mapping[tuple[str, str], Details] = {
    ("post", "/api/exports"): Details(
        request={
            "own data": {"type": "USER_DATA"},
            "with filters": {"type": "MEMBERS", "filters": {"role": "STUDENT"}},
        },
        answers={
            "200": {
                "queued": {
                    "success": True,
                    "exportJob": _PENDING | {"jobId": _ID},
                    "ticket": _TICKET,
                },
                "waits for Redis": {
                    "success": True,
                    "exportJob": _PENDING,
                    "ticket": _TICKET,
                    "message": "The job queue does not answer at the moment. The export was taken "
                    "in and will start by itself as soon as the queue is back.",
                },
            }
        },
        problems=(
            *_USER,
            *_BODY,
            Kind.UNKNOWN_EXPORT_TYPE,
            Kind.BAD_FILTER,
            Kind.FORBIDDEN,
            Kind.CROSS_SITE,
            Kind.KEY_REUSED,
            Kind.QUOTA_EXCEEDED,
            Kind.DATABASE_UNAVAILABLE,
        ),
    ),
    ("get", "/api/exports"): Details(
        answers={
            "200": {
                "one page": {"success": True, "exports": [_COMPLETED], "nextCursor": None},
                "more follow": {
                    "success": True,
                    "exports": [_COMPLETED],
                    "nextCursor": "MTc3MjYwMDc2NzA4OS5jbTN2OHEyazQ",
                },
            }
        },
        problems=(*_USER, Kind.INVALID_FIELDS, Kind.BAD_FILTER, Kind.DATABASE_UNAVAILABLE),
    ),
    ("get", "/api/exports/{exportId}"): Details(
        answers={
            "200": {
                "completed": {"success": True, "export": _COMPLETED},
                "pending": {"success": True, "export": _PENDING | {"fileUrl": None}},
            }
        },
        problems=_EXPORT_WATCHED,
    ),
    ("get", "/api/exports/{exportId}/file"): Details(
        answers={},
        problems=(
            *_USER,
            Kind.INVALID_FIELDS,
            Kind.LINK_INVALID,
            Kind.FORBIDDEN,
            Kind.NOT_FOUND,
            Kind.NOT_READY,
            Kind.LINK_EXPIRED,
            Kind.EXPORT_EXPIRED,
            Kind.RANGE_NOT_SATISFIABLE,
            Kind.DATABASE_UNAVAILABLE,
        ),
    ),
    ("get", "/api/exports/{exportId}/events"): Details(
        answers={"200": {"to the end": _EXPORT_EVENTS}}, problems=_EXPORT_WATCHED
    ),
    ("post", "/api/exports/{exportId}/ticket"): Details(
        answers={"200": {"ticket": {"success": True, "ticket": _TICKET}}},
        problems=(*_TICKETS, Kind.DATABASE_UNAVAILABLE),
    ),
    ("get", "/api/queues"): Details(
        answers={
            "200": {
                "healthy": _QUEUES,
                "Redis is away": _QUEUES
                | {
                    "overallStatus": "unhealthy",
                    "isConnected": False,
                    "error": "the server did not answer within 2 s",
                    "queues": [],
                },
            }
        },
        problems=(*_KEY, Kind.FORBIDDEN),
    ),
    ("get", "/api/queues/status/{jobId}"): Details(
        answers={"200": {"active": _JOB, "failed": _FAILED_JOB}}, problems=_JOB_WATCHED
    ),
    ("get", "/api/queues/status/{jobId}/events"): Details(
        answers={"200": {"to the end": _JOB_EVENTS}}, problems=_JOB_WATCHED
    ),
    ("post", "/api/queues/status/{jobId}/ticket"): Details(
        answers={"200": {"ticket": {"success": True, "ticket": _TICKET}}},
        problems=(*_TICKETS, Kind.QUEUE_UNAVAILABLE),
    ),
    ("post", "/api/queues/webhook"): Details(
        request={
            "completed": {
                "event": "completed",
                "jobId": _ID,
                "queue": "export",
                "data": {},
                "result": "https://files.example.org/members.csv",
            },
            "failed": {
                "event": "failed",
                "jobId": _ID,
                "queue": "export",
                "data": {},
                "error": "no space left on device",
            },
        },
        answers={"200": {"taken in": {"success": True}}},
        problems=(*_KEY, *_BODY, Kind.FORBIDDEN, Kind.NOT_FOUND, Kind.DATABASE_UNAVAILABLE),
    ),
    ("post", "/api/worker/burst"): Details(
        answers={
            "200": {
                "all done": {
                    "success": True,
                    "started": 12,
                    "completed": 11,
                    "failed": 1,
                    "putBack": 0,
                    "notRun": 0,
                    "seconds": 3.412,
                    "ended": "empty",
                }
            }
        },
        problems=(
            *_KEY,
            Kind.BAD_REQUEST,
            Kind.INVALID_FIELDS,
            Kind.FORBIDDEN,
            Kind.BUSY,
            Kind.QUEUE_UNAVAILABLE,
        ),
    ),
    ("get", "/api/health"): Details(
        answers={
            "200": {
                "healthy": _HEALTH,
                "degraded": _HEALTH
                | {
                    "status": "degraded",
                    "checks": {
                        "database": {"status": "healthy"},
                        "queues": {"status": "unhealthy", "error": "Redis does not answer"},
                    },
                },
            },
            "503": {
                "unhealthy": _HEALTH
                | {
                    "status": "unhealthy",
                    "checks": {
                        "database": {"status": "unhealthy", "error": "no answer within 2 s"},
                        "queues": {"status": "healthy"},
                    },
                }
            },
        }
    ),
    ("get", "/api/health/live"): Details(answers={"200": {"alive": {"status": "alive"}}}),
    ("get", "/metrics"): Details(
        answers={"200": {"a line": _METRICS}}, problems=(*_KEY, Kind.FORBIDDEN)
    ),
}

PARAMETERS: Mapping[str, Any] = {
    "exportId": _ID,
    "jobId": _ID,
    "ticket": _TOKEN,
    "wait": 25,
    "state": "waiting",
    "status": "PENDING",
    "cursor": "MTc3MjYwMDc2NzA4OS5jbTN2OHEyazQ",
    "expires": "1772604367",
    "signature": "5f3c",
    "maxJobs": 100,
    "maxSeconds": 25,
    "X-Oxcart-User": "user_1",
    "Idempotency-Key": '"6f1f5a1e-click"',
    "Last-Event-ID": "1772600767089-1",
}
"""An example of each parameter."""
