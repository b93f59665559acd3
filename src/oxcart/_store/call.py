"""A transition or a read as a value: what is sent and how the reply is read. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from oxcart._wire import scripts

T = TypeVar("T")
Word = str | bytes | int | float


@dataclass(slots=True)  # not frozen, though never changed: making one takes a third of the time
class Call(Generic[T]):
    """One command or script call.

    Attributes:
        name: the command's or the script's name, for errors.
        words: a plain command's words; empty for a script.
        script: the script, or ``None`` for a plain command.
        keys: the script's keys, in its order.
        args: the script's arguments.
        read: turns the server's reply into the result.
        is_repeatable: sending it a second time does no harm, so that it may be sent again when the
            connection broke and nobody knows whether it took effect.
    """

    name: str
    words: tuple[Word, ...]
    script: scripts.Script | None
    keys: tuple[str, ...]
    args: Sequence[Word]
    read: Callable[[Any], T]
    is_repeatable: bool

    def packed(self) -> tuple[Word, ...]:
        """The command as it is sent."""
        if self.script is None:
            return self.words
        return ("EVALSHA", self.script.sha, len(self.keys), *self.keys, *self.args)

    def packed_with_source(self) -> tuple[Word, ...]:
        """The same with the script's text, for a server that does not have it."""
        if self.script is None:
            return self.words
        return ("EVAL", self.script.text, len(self.keys), *self.keys, *self.args)


def script_call(
    name: str,
    keys: tuple[str, ...],
    args: Sequence[Word],
    read: Callable[[Any], T],
    *,
    is_repeatable: bool = False,
) -> Call[T]:
    """Build the call of a script, checking the number of keys against its bindings."""
    script = scripts.load(name)
    if len(keys) != script.key_count or len(args) < len(script.arg_names):
        raise AssertionError(f"script {name} takes {script.key_names} and {script.arg_names}")
    return Call(name, (), script, keys, args, read, is_repeatable)


def command(words: tuple[Word, ...], read: Callable[[Any], T]) -> Call[T]:
    """Build a plain command that only reads."""
    return Call(str(words[0]), words, None, (), (), read, is_repeatable=True)
