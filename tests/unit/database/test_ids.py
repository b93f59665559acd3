from __future__ import annotations

import re
from random import Random

from oxcart.database.ids import new_id, sample_id

FORM = re.compile(r"c[a-z0-9]{24}")


def generator() -> Random:
    return Random(1)  # noqa: S311  # sample data, no secret


def test_ids_have_the_form_of_cuids() -> None:
    assert all(FORM.fullmatch(new_id()) for _ in range(1_000))
    assert FORM.fullmatch(sample_id(generator()))


def test_ids_do_not_repeat() -> None:
    assert len({new_id() for _ in range(10_000)}) == 10_000
    assert sample_id(generator()) == sample_id(generator())
