from __future__ import annotations

from dataclasses import dataclass

from oxcart._model.by_identity import ByIdentity


@dataclass(frozen=True)
class Options:
    attempts: int


def test_what_follows_is_worked_out_once_an_object_and_anew_for_an_equal_one() -> None:
    made: list[Options] = []

    def make(options: Options) -> int:
        made.append(options)
        return options.attempts * 2

    known = ByIdentity(make, limit=10)
    one, equal = Options(3), Options(3)

    assert [known.get(one), known.get(one), known.get(equal)] == [6, 6, 6]
    assert [id(one), id(equal)] == [id(options) for options in made]


def test_no_more_are_remembered_than_the_limit_and_no_answer_is_another_objects() -> None:
    known = ByIdentity[Options, int](lambda options: options.attempts, limit=2)

    assert [known.get(Options(attempts)) for attempts in range(50)] == list(range(50))
    assert len(known._known) <= 2
