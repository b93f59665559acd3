"""Sentry's events: made of errors and log lines, and freed of secrets and payloads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sentry_sdk
from sentry_sdk.utils import event_from_exception

from oxcart.observe.hiding import hider
from oxcart.observe.redaction import Redactor

if TYPE_CHECKING:
    from sentry_sdk._types import Event

_CLEANED = ("message", "logentry", "extra", "contexts", "tags", "user", "request", "transaction")
_OF_EXCEPTION = ("type", "value")
_KEPT_OF_CRUMB = frozenset({"timestamp", "type", "level", "category"})
_OWN_CONTEXTS = frozenset({"trace", "runtime", "os", "device"})
"""Contexts that the SDK writes, in which a random id is no secret."""


def event_of(error: BaseException) -> dict[str, Any]:
    """An event that tells an error with its causes, without the variables of its frames."""
    options = {**sentry_sdk.get_client().options, "include_local_variables": False}
    event, _ = event_from_exception(error, client_options=options)
    for raised in _values(event["exception"]):
        _drop_variables(raised)  # kept where the program's own options ask for them
    return dict(event)


def hide_in_event(event: Event, redactor: Redactor | None = None) -> Event:
    """Take out of an event what may not be sent.

    Args:
        event: the event, which is changed.
        redactor: knows the secrets of the job that the event is about.
    """
    changed: Any = event
    for key in _CLEANED:
        if key in changed:
            changed[key] = _clean_section(key, changed[key], redactor)
    for raised in _values(changed.get("exception")):
        for key in _OF_EXCEPTION:
            if raised.get(key) is not None:
                raised[key] = _clean(raised[key], redactor)
        _drop_variables(raised)
    for thread in _values(changed.get("threads")):
        _drop_variables(thread)
    if "breadcrumbs" in changed:
        crumbs = _values(changed["breadcrumbs"])
        # The SDK's own integration tells each command, and with it payloads.
        kept = [crumb for crumb in crumbs if crumb.get("category") != "redis"]
        changed["breadcrumbs"] = {"values": [_clean_crumb(crumb, redactor) for crumb in kept]}
    return event


def _clean_section(key: str, section: Any, redactor: Redactor | None) -> Any:
    if key == "contexts" and isinstance(section, Mapping):
        return {
            name: context if name in _OWN_CONTEXTS else _clean(context, redactor)
            for name, context in section.items()
        }
    return _clean(section, redactor)


def _clean_crumb(crumb: Any, redactor: Redactor | None) -> Any:
    return {
        key: value if key in _KEPT_OF_CRUMB else _clean(value, redactor)
        for key, value in crumb.items()
    }


def _clean(value: Any, redactor: Redactor | None) -> Any:
    shown = hider().value(_plain(value))
    return shown if redactor is None else redactor.shown_texts(shown)


def _drop_variables(with_stack: Any) -> None:
    for frame in (with_stack.get("stacktrace") or {}).get("frames") or ():
        frame.pop("vars", None)


def _values(section: Any) -> list[Any]:
    """The list in a section of an event, in which the SDK may have put a note on it."""
    section = _plain(section)
    if isinstance(section, Mapping):
        section = _plain(section.get("values"))
    return list(section or ())


def _plain(value: Any) -> Any:
    from sentry_sdk._types import AnnotatedValue

    return value.value if isinstance(value, AnnotatedValue) else value
