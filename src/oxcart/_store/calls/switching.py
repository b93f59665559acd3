"""Opening, pausing and resuming a queue."""

from __future__ import annotations

from oxcart._store.call import Call, command, script_call
from oxcart._wire.keys import QueueKeys


def open_queue(keys: QueueKeys, *, version: str, events_length: int | None) -> Call[int]:
    """Write the queue's settings where they are missing. Source: wire format, section 2.3."""
    return script_call(
        "open_queue",
        (keys.meta,),
        ("" if events_length is None else events_length, version),
        int,
        is_repeatable=True,
    )


def pause(keys: QueueKeys) -> Call[int]:
    """Stop the queue's jobs from being taken. Source: wire format, section 7.12."""
    return script_call(
        "pause_queue", (keys.meta, keys.marker, keys.events), (), int, is_repeatable=True
    )


def resume(keys: QueueKeys, *, is_first: bool) -> Call[bool]:
    """Let jobs be taken again; answers whether to call again. Source: wire format, section 7.12."""
    return script_call(
        "resume_queue",
        (
            keys.wait, keys.paused, keys.prioritized, keys.delayed, keys.marker, keys.meta,
            keys.events,
        ),
        ("1" if is_first else "0",),
        lambda reply: reply == 1,
        is_repeatable=True,
    )  # fmt: skip


def is_paused(keys: QueueKeys) -> Call[bool]:
    """Whether the queue is paused."""
    return command(("HEXISTS", keys.meta, "paused"), lambda reply: reply == 1)


def pass_marker_on(keys: QueueKeys) -> Call[None]:
    """Put a wake-up token back that this worker cannot use (wire format, section 5)."""
    return script_call(
        "pass_marker_on",
        (keys.wait, keys.prioritized, keys.delayed, keys.marker),
        (),
        lambda _: None,
        is_repeatable=True,
    )
