"""Examples of requests, answers and parameters, for the OpenAPI document.

The tests check every example against its schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ID = "cm3v8q2k40001qwertyuiop01"
TOKEN = "t1.WyJleHBvcnQiLCJjbTN2OHEyazQiLCJ1MSIsMTc3MjYxMTk2N10.c2lnbmF0dXJl"  # noqa: S105
TICKET = {
    "token": TOKEN,
    "expiresAt": "2026-03-04T05:21:07.000Z",
    "statusPath": f"/api/exports/{ID}?ticket={TOKEN}",
    "eventsPath": f"/api/exports/{ID}/events?ticket={TOKEN}",
}
PENDING = {
    "id": ID,
    "status": "PENDING",
    "type": "MEMBERS",
    "createdAt": "2026-03-04T05:06:07.089Z",
}
COMPLETED = {
    "id": ID,
    "type": "MEMBERS",
    "status": "COMPLETED",
    "fileUrl": f"https://www.example.org/api/exports/{ID}/file?expires=1772604367&signature=5f3c",
    "createdAt": "2026-03-04T05:06:07.089Z",
    "completedAt": "2026-03-04T05:06:09.512Z",
}
JOB = {
    "id": ID,
    "state": "active",
    "type": "MEMBERS",
    "createdAt": 1772600767089,
    "processedOn": 1772600767105,
    "attemptsMade": 0,
    "progress": 40,
    "progressDetails": {"percent": 40, "rows": 4000, "total": 10000, "phase": "writing"},
    "data": {"exportJobId": ID, "userId": "user_1", "type": "MEMBERS"},
}
FAILED_JOB = JOB | {
    "state": "failed",
    "finishedOn": 1772600770512,
    "attemptsMade": 3,
    "failedReason": "no space left on device",
}
QUEUE = {
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
QUEUES = {
    "success": True,
    "overallStatus": "healthy",
    "timestamp": "2026-03-04T05:06:07.089Z",
    "broker": "redis",
    "isConnected": True,
    "url": "redis://redis:6379/0",
    "error": None,
    "queues": [QUEUE],
}
DELIVERY = {
    "id": "dlv_8f2k1m",
    "messageId": "msg_4h7d2s",
    "type": "export.completed",
    "endpoint": "site",
    "state": "pending",
    "attempts": 1,
    "createdAt": "2026-03-04T05:06:09.512Z",
    "dueAt": "2026-03-04T05:06:14.512Z",
    "endedAt": None,
    "error": "answered 503",
    "log": [],
}
ATTEMPT = {
    "number": 1,
    "startedAt": "2026-03-04T05:06:09.601Z",
    "durationMs": 212,
    "status": 503,
    "error": None,
    "answer": "Service Unavailable",
}
HEALTH = {
    "status": "healthy",
    "timestamp": "2026-03-04T05:06:07.089Z",
    "checks": {"database": {"status": "healthy"}, "queues": {"status": "healthy"}},
}
JOB_EVENTS = (
    "retry: 2000\nid: 1772600767089-1\nevent: status\n"
    'data: {"id": "7", "state": "waiting", "type": "MEMBERS"}\n\n'
    'id: 1772600767105-0\nevent: state\ndata: {"state": "active"}\n\n'
    'id: 1772600768000-0\nevent: progress\ndata: {"progress": 40}\n\n'
    ": heartbeat\n\n"
    "id: 1772600769512-0:end\nevent: end\n"
    'data: {"id": "7", "state": "completed", "type": "MEMBERS"}\n\n'
)
EXPORT_EVENTS = (
    "retry: 2000\nid: 1772600767089-1\nevent: status\n"
    f'data: {{"id": "{ID}", "type": "MEMBERS", "status": "PENDING"}}\n\n'
    'id: 1772600768000-0\nevent: progress\ndata: {"progress": 40}\n\n'
    "id: 1772600769512-0:end\nevent: end\n"
    f'data: {{"id": "{ID}", "type": "MEMBERS", "status": "COMPLETED"}}\n\n'
)
METRICS = 'oxcart_queue_jobs{queue="export",state="waiting"} 2.0\n'

PARAMETERS: Mapping[str, Any] = {
    "exportId": ID,
    "jobId": ID,
    "deliveryId": "dlv_8f2k1m",
    "endpoint": "site",
    "limit": 50,
    "ticket": TOKEN,
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
