"""Cron patterns as BullMQ writes them, put into the words of the library that evaluates them.

Source: wire format, section 11.4.
"""

from __future__ import annotations

import hashlib
import re

from oxcart.errors import ConfigError

_NICKNAMES = {
    "@SECONDLY": "* * * * * *", "@MINUTELY": "0 * * * * *", "@HOURLY": "0 0 * * * *",
    "@DAILY": "0 0 0 * * *", "@WEEKLY": "0 0 0 * * 0", "@MONTHLY": "0 0 0 1 * *",
    "@YEARLY": "0 0 0 1 1 *", "@ANNUALLY": "0 0 0 1 1 *",
    "@WEEKDAYS": "0 0 0 * * 1-5", "@WEEKENDS": "0 0 0 * * 0,6",
}  # fmt: skip
_FIELDS = ("second", "minute", "hour", "day of month", "month", "day of week")
_RANGES = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_DAY_OF_MONTH, _MONTH, _DAY_OF_WEEK = 3, 4, 5
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = (
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
)  # fmt: skip
_NAMES = {
    _MONTH: {name: number for number, name in enumerate(_MONTHS, start=1)},
    _DAY_OF_WEEK: {name: number for number, name in enumerate(_DAYS)},
}

_VALUE = r"(?:[0-9]{1,2}|[A-Z]{3})"
_ITEM = re.compile(rf"(?:\*|({_VALUE})(?:-({_VALUE}))?)(?:/([0-9]{{1,9}}))?")
_SAME = re.compile(rf"({_VALUE})-\1(?:/[0-9]{{1,9}})?")
_LAST_DAY = re.compile(rf"({_VALUE})L")
_NTH_DAY = re.compile(rf"({_VALUE})#[1-5]")
_HASHED = re.compile(r"H(?:\(([0-9]{1,9})-([0-9]{1,9})\))?(?:/([0-9]{1,9}))?")


def to_library(pattern: str) -> str:
    """A pattern as six fields that the library reads.

    Lists, ranges, steps and names as usual; ``?`` for ``*``; ``L`` the month's last day; ``5L``
    its last Friday; ``1#2`` its second Monday; 0 and 7 Sunday; ``@daily`` and the like;
    ``H`` a value that is made of the pattern. If the day of month and that of the week are both
    restricted, either is enough. Of less than five fields the missing ones are the leading ones.

    Raises:
        ConfigError: the pattern cannot be read, naming the field and its range; whether its dates
            ever come is left to the library.
    """
    text = pattern.strip().upper()
    parts = _NICKNAMES.get(text, text).split()
    if not 1 <= len(parts) <= len(_FIELDS):
        raise ConfigError(
            f"cron pattern is {pattern!r}; write five fields (minute, hour, day of month, month, "
            "day of week), or six with the second first, or a name such as '@daily'"
        )
    every_minute = ["*"] * (len(_FIELDS) - 1 - len(parts))
    padded = parts if len(parts) == len(_FIELDS) else ["0", *every_minute, *parts]
    return " ".join(_field(pattern, at, field) for at, field in enumerate(padded))


def _field(pattern: str, at: int, field: str) -> str:
    items = field.split(",")
    if "#" in field and len(items) > 1:
        raise _refused(pattern, at, "'#' cannot stand in a list")
    translated = [_item(pattern, at, item) for item in items]
    return "*" if "*" in translated else ",".join(translated)


def _item(pattern: str, at: int, item: str) -> str:
    low, high = _RANGES[at]
    if item == "?":
        return "*"
    if hashed := _HASHED.fullmatch(item):
        return _hashed(pattern, at, hashed)
    if special := _special_day(pattern, at, item):
        return special
    if not (parts := _ITEM.fullmatch(item)):
        raise _refused(pattern, at, f"{item!r} is not understood")
    _check(pattern, at, parts)
    if same := _SAME.fullmatch(item):
        return same[1]  # to the library, a step goes on behind a range of one
    # To the library a day that starts with a star is no restriction; here it is one.
    return f"{low}-{high}{item[1:]}" if item.startswith("*/") else item


def _check(pattern: str, at: int, item: re.Match[str]) -> None:
    numbers = [_number(pattern, at, value) for value in item.group(1, 2) if value]
    if numbers != sorted(numbers):
        raise _refused(pattern, at, f"{item[0]!r} ends before it begins")
    if item[3] and int(item[3]) == 0:
        raise _refused(pattern, at, f"{item[0]!r} has a step of 0")


def _number(pattern: str, at: int, value: str) -> int:
    low, high = _RANGES[at]
    if (named := _NAMES.get(at, {}).get(value)) is not None:
        return named
    if not value.isdigit():
        raise _refused(pattern, at, f"{value!r} is not understood")
    if not low <= int(value) <= high:
        raise _refused(pattern, at, f"{value!r} is out of range")
    return int(value)


def _special_day(pattern: str, at: int, item: str) -> str | None:
    if at == _DAY_OF_MONTH and item == "L":
        return item
    if at == _DAY_OF_WEEK and (nth := _NTH_DAY.fullmatch(item)):
        _number(pattern, at, nth[1])
        return item
    if at == _DAY_OF_WEEK and (last := _LAST_DAY.fullmatch(item)):
        return f"{_number(pattern, at, last[1])}L"
    return None


def _hashed(pattern: str, at: int, match: re.Match[str]) -> str:
    low, high = _RANGES[at]
    if match[1]:
        low, high = max(low, int(match[1])), min(high, int(match[2]))
    elif at == _DAY_OF_WEEK:
        high = 6
    step = int(match[3]) if match[3] else 0
    if low > high or match[3] == "0":
        raise _refused(pattern, at, f"{match[0]!r} is an empty range")
    seed = hashlib.sha256(f"{pattern}:{at}".encode()).digest()
    width = min(step, high - low + 1) if step else high - low + 1
    value = low + int.from_bytes(seed[:8], "big") % width
    return f"{value}-{high}/{step}" if step else str(value)


def _refused(pattern: str, at: int, why: str) -> ConfigError:
    low, high = _RANGES[at]
    names = tuple(_NAMES.get(at, ()))
    or_names = f", or {names[0]} to {names[-1]}" if names else ""
    return ConfigError(
        f"cron pattern is {pattern!r}: in the {_FIELDS[at]} ({low} to {high}{or_names}), {why}"
    )
