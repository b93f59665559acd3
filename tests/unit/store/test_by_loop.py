from __future__ import annotations

import asyncio
import gc

from oxcart._store.by_loop import ByLoop


def test_each_loop_has_its_own_value_until_it_is_taken_away() -> None:
    values: ByLoop[str] = ByLoop()
    one, other = asyncio.new_event_loop(), asyncio.new_event_loop()

    assert values.set(one, "first") == "first"
    values.set(one, "second")

    assert (values.get(one), values.get(other)) == ("second", None)
    assert (values.pop(one), values.pop(one), values.get(one)) == ("second", None, None)
    for loop in (one, other):
        loop.close()


def test_value_goes_with_its_loop() -> None:
    values: ByLoop[str] = ByLoop()
    loop = asyncio.new_event_loop()
    values.set(loop, "first")
    values.set(loop, "second")
    loop.close()

    del loop
    gc.collect()

    assert not values._values
