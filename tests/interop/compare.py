"""Compares what stands in the server with what a vector recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

JSON_FIELDS = {"opts", "data", "parent", "returnvalue", "progress", "stacktrace"}
DELAYED_SCORE = re.compile(r"<ts>\*4096\+(\d+)")
TOKENS = {
    "<ts>+frac": r"\d{13}(?:\.\d+)?",
    "<ts>": r"\d{13}",
    "<uuid>": r"[0-9a-f-]{36}",
    "<token>": r"\S+",
    "<version>": r"\S+",
    "<stack>": r"[\s\S]+",
}
SPLIT = re.compile("(" + "|".join(re.escape(token) for token in TOKENS) + ")")
PRIVATE = re.compile(r"^[^:]+(?::[^:]+)*:oxcart:")


def differences(client: Any, recorded: dict[str, Any], *, exact: bool) -> list[str]:
    """Every difference between the server's keys and the recorded ones.

    Args:
        client: the server; streams are compared by ``event_differences``.
        recorded: a vector's ``keys``, or the keys of its ``exact``.
        exact: values are raw; streams are left out.
    """
    actual = set(_keys(client))
    expected = {key for key, entry in recorded.items() if entry["type"] != "stream"}
    streams = {key for key in actual if client.type(key) == b"stream"}
    found = [f"{key}: is there and should not be" for key in sorted(actual - expected - streams)]
    for key in sorted(expected):
        if key not in actual:
            found.append(f"{key}: is missing")
        else:
            found += _key_differences(client, key, recorded[key], exact=exact)
    return found


def event_differences(client: Any, recorded: dict[str, Any]) -> list[str]:
    """Every difference between the server's streams and the recorded entries."""
    found = []
    for key, entries in recorded.items():
        actual = [_flat(fields) for _, fields in client.xrange(key)]
        if not matches(entries, actual):
            found.append(f"{key}: expected {entries}, found {actual}")
    return found


def matches(expected: Any, actual: Any) -> bool:
    """Whether a value is the recorded one, tokens standing for what they stand for."""
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(map(matches, expected, actual))
    if isinstance(expected, dict) and isinstance(actual, dict):
        return expected.keys() == actual.keys() and all(
            matches(expected[key], actual[key]) for key in expected
        )
    if isinstance(expected, str) and "<" in expected:
        return _matches_token(expected, str(actual))
    return bool(expected == actual)


def _matches_token(expected: str, actual: str) -> bool:
    if score := DELAYED_SCORE.fullmatch(expected):
        due, sequence = divmod(int(actual), 4096)
        return len(str(due)) == len("1700000000000") and sequence == int(score[1])
    pattern = "".join(TOKENS.get(part, re.escape(part)) for part in SPLIT.split(expected))
    return re.fullmatch(pattern, actual) is not None


def _key_differences(
    client: Any, key: str, entry: dict[str, Any], *, exact: bool
) -> Iterator[str] | list[str]:
    kind = client.type(key).decode()
    if kind != entry["type"]:
        return [f"{key}: is a {kind}, should be a {entry['type']}"]
    has_ttl = client.pttl(key) >= 0
    if has_ttl != entry["ttl"]:
        return [f"{key}: has {'an' if has_ttl else 'no'} expiry"]
    value = _value(client, key, kind)
    expected = entry["value"]
    if kind == "hash":
        expected, value = _parsed_hash(expected, exact=exact), _parsed_hash(value, exact=True)
    if matches(expected, value):
        return []
    return [f"{key}: expected {expected}, found {value}"]


def _value(client: Any, key: str, kind: str) -> Any:
    match kind:
        case "string":
            return client.get(key).decode()
        case "list":
            return [item.decode() for item in client.lrange(key, 0, -1)]
        case "set":
            return sorted(item.decode() for item in client.smembers(key))
        case "zset":
            pairs = client.zrange(key, 0, -1, withscores=True)
            return [[member.decode(), f"{score:.17g}"] for member, score in pairs]
        case _:
            return {name.decode(): text.decode() for name, text in client.hgetall(key).items()}


def _parsed_hash(fields: dict[str, Any], *, exact: bool) -> dict[str, Any]:
    """A hash with its JSON fields parsed; the text of tracebacks is each library's own."""
    parsed = {}
    for name, value in fields.items():
        is_raw = exact and name in JSON_FIELDS
        content = json.loads(value) if is_raw else value
        if isinstance(content, dict) and content.keys() == {"$json"}:
            content = content["$json"]
        if name == "stacktrace" and isinstance(content, list):
            content = ["a traceback" for _ in content]
        parsed[name] = content
    return parsed


def _keys(client: Any) -> Iterator[str]:
    """Every key but those that are ours alone."""
    for key in client.scan_iter(count=1000):
        if not PRIVATE.match(key.decode()):
            yield key.decode()


def _flat(fields: dict[bytes, bytes]) -> list[str]:
    return [item.decode() for pair in fields.items() for item in pair]
