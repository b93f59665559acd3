"""Whether a value is the recorded one, where the record has tokens for what varies."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

JSON_FIELDS = frozenset({"opts", "data", "parent", "returnvalue", "progress", "stacktrace"})
"""Fields of a job's hash whose text is JSON: compared after parsing."""

_JSON_EVENT_FIELDS = frozenset({("completed", "returnvalue"), ("progress", "data")})
_TOKENS = {
    "<ts>": r"\d{13}",
    "<uuid>": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "<token>": r"\S+",
    "<version>": r"\S+",
    "<stack>": r"[\s\S]+",
}
_TOKEN = re.compile("|".join(_TOKENS))
_DELAYED_SCORE = re.compile(r"<ts>\*4096\+(\d+)")


def matches(recorded: Any, found: Any) -> bool:
    """Whether a parsed value is the recorded one; numbers may stand behind a token."""
    match recorded:
        case list():
            return (
                isinstance(found, list)
                and len(recorded) == len(found)
                and all(map(matches, recorded, found))
            )
        case dict():
            return (
                isinstance(found, dict)
                and recorded.keys() == found.keys()
                and all(matches(recorded[name], found[name]) for name in recorded)
            )
        case str() if _TOKEN.search(recorded):
            return isinstance(found, str | int) and text_matches(recorded, str(found))
        case _:
            return recorded == found and isinstance(recorded, bool) == isinstance(found, bool)


def text_matches(recorded: str, found: str) -> bool:
    """Whether a text is the recorded one, or of the recorded form."""
    return recorded == found or pattern_of(recorded).fullmatch(found) is not None


@cache
def pattern_of(recorded: str) -> re.Pattern[str]:
    """A recorded text as a pattern, its tokens standing for what they mean."""
    parts, end = [], 0
    for token in _TOKEN.finditer(recorded):
        parts += [re.escape(recorded[end : token.start()]), _TOKENS[token[0]]]
        end = token.end()
    return re.compile("".join(parts) + re.escape(recorded[end:]))


def score_matches(recorded: str, found: float) -> bool:
    """Whether a score is the recorded one, or of the recorded form."""
    if sequence := _DELAYED_SCORE.fullmatch(recorded):
        due_ms, rest = divmod(found, 4096)
        return text_matches("<ts>", f"{due_ms:.0f}") and rest == int(sequence[1])
    if recorded == "<ts>+frac":
        return not found.is_integer() and text_matches("<ts>", f"{int(found)}")
    if "<" in recorded:
        return found.is_integer() and text_matches(recorded, f"{found:.0f}")
    return float(recorded) == found


def hash_matches(recorded: dict[str, Any], found: dict[str, str]) -> bool:
    """Whether a hash has the recorded fields; JSON texts are compared parsed."""
    return recorded.keys() == found.keys() and all(
        _field_matches(name, recorded[name], found[name]) for name in recorded
    )


def event_matches(recorded: list[str], found: list[str]) -> bool:
    """Whether a stream's entry has the recorded fields in the recorded order."""
    if recorded[::2] != found[::2] or len(recorded) != len(found):
        return False
    names = zip(recorded[::2], recorded[1::2], found[1::2], strict=True)
    return all(
        _json_matches(expected, value)
        if (recorded[1], name) in _JSON_EVENT_FIELDS
        else text_matches(expected, value)
        for name, expected, value in names
    )


def _field_matches(name: str, recorded: Any, found: str) -> bool:
    if isinstance(recorded, dict):  # {"$json": value}
        return _json_matches(recorded["$json"], found, is_parsed=True)
    if name in JSON_FIELDS:
        return _json_matches(recorded, found)
    return text_matches(recorded, found)


def _json_matches(recorded: Any, found: str, *, is_parsed: bool = False) -> bool:
    try:
        value = json.loads(found)
    except ValueError:
        return False
    return matches(recorded if is_parsed else json.loads(recorded), value)
