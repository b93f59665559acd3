"""What the OpenAPI document says of each route: its examples, and how it refuses requests.

Keys are the method and the path as in the document. The tests check that every route is here, and
real answers against the document.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oxcart.http import openapi_examples as examples
from oxcart.http.problems import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

Examples = dict[str, Any]
"""Values by the names of the examples."""

_KEY = (Kind.UNAUTHENTICATED, Kind.TOO_MANY_GUESSES, Kind.KEYS_UNAVAILABLE)
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
_DELIVERIES = (*_KEY, Kind.FORBIDDEN, Kind.DATABASE_UNAVAILABLE)
_TICKETS = (*_USER, Kind.FORBIDDEN, Kind.CROSS_SITE, Kind.NOT_FOUND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What is added to one route of the document.

    Attributes:
        answers: examples by status.
        problems: how the route refuses requests, beside what every route may answer.
        request: examples of the body.
        parameters: examples of parameters that mean something else here than in ``PARAMETERS``.
    """

    answers: Mapping[str, Examples]
    problems: tuple[Kind, ...] = ()
    request: Examples = field(default_factory=dict)
    parameters: Examples = field(default_factory=dict)


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
                    "exportJob": examples.PENDING | {"jobId": examples.ID},
                    "ticket": examples.TICKET,
                },
                "waits for Redis": {
                    "success": True,
                    "exportJob": examples.PENDING,
                    "ticket": examples.TICKET,
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
                "one page": {"success": True, "exports": [examples.COMPLETED], "nextCursor": None},
                "more follow": {
                    "success": True,
                    "exports": [examples.COMPLETED],
                    "nextCursor": "MTc3MjYwMDc2NzA4OS5jbTN2OHEyazQ",
                },
            }
        },
        problems=(*_USER, Kind.INVALID_FIELDS, Kind.BAD_FILTER, Kind.DATABASE_UNAVAILABLE),
    ),
    ("get", "/api/exports/{exportId}"): Details(
        answers={
            "200": {
                "completed": {"success": True, "export": examples.COMPLETED},
                "pending": {"success": True, "export": examples.PENDING | {"fileUrl": None}},
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
        answers={"200": {"to the end": examples.EXPORT_EVENTS}}, problems=_EXPORT_WATCHED
    ),
    ("post", "/api/exports/{exportId}/ticket"): Details(
        answers={"200": {"ticket": {"success": True, "ticket": examples.TICKET}}},
        problems=(*_TICKETS, Kind.DATABASE_UNAVAILABLE),
    ),
    ("get", "/api/queues"): Details(
        answers={
            "200": {
                "healthy": examples.QUEUES,
                "Redis is away": examples.QUEUES
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
        answers={"200": {"active": examples.JOB, "failed": examples.FAILED_JOB}},
        problems=_JOB_WATCHED,
    ),
    ("get", "/api/queues/status/{jobId}/events"): Details(
        answers={"200": {"to the end": examples.JOB_EVENTS}}, problems=_JOB_WATCHED
    ),
    ("post", "/api/queues/status/{jobId}/ticket"): Details(
        answers={"200": {"ticket": {"success": True, "ticket": examples.TICKET}}},
        problems=(*_TICKETS, Kind.QUEUE_UNAVAILABLE),
    ),
    ("post", "/api/queues/webhook"): Details(
        request={
            "completed": {
                "event": "completed",
                "jobId": examples.ID,
                "queue": "export",
                "data": {},
                "result": "https://files.example.org/members.csv",
            },
            "failed": {
                "event": "failed",
                "jobId": examples.ID,
                "queue": "export",
                "data": {},
                "error": "no space left on device",
            },
        },
        answers={"200": {"taken in": {"success": True}}},
        problems=(
            *_KEY,
            *_BODY,
            Kind.FORBIDDEN,
            Kind.NOT_FOUND,
            Kind.BUSY,
            Kind.DATABASE_UNAVAILABLE,
        ),
    ),
    ("get", "/api/webhooks/deliveries"): Details(
        answers={"200": {"one waits": {"success": True, "deliveries": [examples.DELIVERY]}}},
        parameters={"state": "pending"},
        problems=(*_DELIVERIES, Kind.INVALID_FIELDS),
    ),
    ("get", "/api/webhooks/deliveries/{deliveryId}"): Details(
        answers={
            "200": {
                "with its attempts": {
                    "success": True,
                    "delivery": examples.DELIVERY | {"log": [examples.ATTEMPT]},
                }
            }
        },
        problems=(*_DELIVERIES, Kind.NOT_FOUND),
    ),
    ("post", "/api/webhooks/deliveries/{deliveryId}/redeliver"): Details(
        answers={
            "200": {
                "sent again": {
                    "success": True,
                    "delivery": examples.DELIVERY | {"attempts": 0, "error": None},
                }
            }
        },
        problems=(*_DELIVERIES, Kind.NOT_FOUND),
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
                "healthy": examples.HEALTH,
                "degraded": examples.HEALTH
                | {
                    "status": "degraded",
                    "checks": {
                        "database": {"status": "healthy"},
                        "queues": {"status": "unhealthy", "error": "Redis does not answer"},
                    },
                },
            },
            "503": {
                "unhealthy": examples.HEALTH
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
        answers={"200": {"a line": examples.METRICS}}, problems=(*_KEY, Kind.FORBIDDEN)
    ),
}
