"""Ids in the form that Prisma's ``cuid()`` has: ``c`` and 24 characters of a-z and 0-9."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_TIME_LENGTH = 8
_RANDOM_LENGTH = 16


def new_id() -> str:
    """Return a new id: later ones sort later, and nobody can guess one from another.

    It begins with a letter and has no ``:``, so it can be a job's id too.
    """
    chosen = "".join(secrets.choice(_DIGITS) for _ in range(_RANDOM_LENGTH))
    return f"c{_base36(time.time_ns() // 1_000_000)}{chosen}"


def sample_id(random: Random) -> str:
    """Return an id of the same form that depends on nothing but the generator's state."""
    return "c" + "".join(random.choices(_DIGITS, k=_TIME_LENGTH + _RANDOM_LENGTH))


def _base36(number: int) -> str:
    digits = []
    for _ in range(_TIME_LENGTH):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
