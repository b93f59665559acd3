from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from tests.support import wait_until

from oxcart._store.group_commit import GroupCommit


class Sender:
    """Takes batches, and answers each when the test says so."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, list[str]]] = []
        self.replies: list[asyncio.Future[list[str]]] = []

    async def send(self, key: str, items: Sequence[str]) -> list[str]:
        self.batches.append((key, list(items)))
        reply: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self.replies.append(reply)
        return await reply

    def answer(self) -> None:
        """Answer the latest batch: each item in capitals."""
        self.replies[-1].set_result([item.upper() for item in self.batches[-1][1]])

    async def has_sent(self, count: int) -> None:
        await wait_until(lambda: len(self.batches) == count, within=2, what=f"batch {count}")


@pytest.fixture
def sender() -> Sender:
    return Sender()


@pytest.fixture
def commit(sender: Sender) -> GroupCommit[str, str]:
    return commit_of(sender)


def commit_of(sender: Sender, *, limit: int = 100) -> GroupCommit[str, str]:
    numbers = itertools.count(1)
    return GroupCommit(sender.send, new_key=lambda: f"key{next(numbers)}", limit=limit)


@asynccontextmanager
async def callers(
    commit: GroupCommit[str, str],
) -> AsyncIterator[Callable[[str], Awaitable[asyncio.Task[str]]]]:
    """Start callers one by one, each waiting already when the next one starts."""
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:

        async def start(item: str) -> asyncio.Task[str]:
            task = group.create_task(_outcome(commit, item), name=item)
            await asyncio.sleep(0)  # lets it come as far as it can
            return task

        yield start


async def _outcome(commit: GroupCommit[str, str], item: str) -> str:
    try:
        return await commit.submit(item)
    except RuntimeError as error:
        return f"error: {error}"


async def cancel(task: asyncio.Task[str]) -> None:
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_single_caller_is_sent_at_once(commit: GroupCommit[str, str], sender: Sender) -> None:
    async with callers(commit) as start:
        first = await start("a")
        await sender.has_sent(1)
        sender.answer()

    assert first.result() == "A"
    assert sender.batches == [("key1", ["a"])]


async def test_callers_that_come_meanwhile_go_out_together(
    commit: GroupCommit[str, str], sender: Sender
) -> None:
    async with callers(commit) as start:
        tasks = [await start(item) for item in "abcd"]
        sender.answer()
        await sender.has_sent(2)
        sender.answer()

    assert sender.batches == [("key1", ["a"]), ("key2", ["b", "c", "d"])]
    assert [task.result() for task in tasks] == ["A", "B", "C", "D"]


async def test_batches_are_no_longer_than_the_limit(sender: Sender) -> None:
    async with callers(commit_of(sender, limit=2)) as start:
        tasks = [await start(item) for item in "abcd"]
        for count in (1, 2, 3):
            await sender.has_sent(count)
            sender.answer()

    assert [items for _, items in sender.batches] == [["a"], ["b", "c"], ["d"]]
    assert [task.result() for task in tasks] == ["A", "B", "C", "D"]


async def test_next_caller_after_a_quiet_time_is_sent_at_once(
    commit: GroupCommit[str, str], sender: Sender
) -> None:
    async with callers(commit) as start:
        for count, item in enumerate("abc", 1):
            await start(item)
            await sender.has_sent(count)
            sender.answer()

    assert [items for _, items in sender.batches] == [["a"], ["b"], ["c"]]


async def test_error_of_a_batch_reaches_each_of_its_callers_and_nobody_else(
    commit: GroupCommit[str, str], sender: Sender
) -> None:
    async with callers(commit) as start:
        first = await start("a")
        second, third = await start("b"), await start("c")
        sender.answer()
        await sender.has_sent(2)
        fourth = await start("d")
        sender.replies[-1].set_exception(RuntimeError("refused"))
        await sender.has_sent(3)
        sender.answer()

    assert first.result() == "A"
    assert [second.result(), third.result()] == ["error: refused", "error: refused"]
    assert fourth.result() == "D"


async def test_caller_after_an_error_is_sent(commit: GroupCommit[str, str], sender: Sender) -> None:
    async with callers(commit) as start:
        first = await start("a")
        sender.replies[-1].set_exception(RuntimeError("refused"))
        second = await start("b")
        await sender.has_sent(2)
        sender.answer()

    assert [first.result(), second.result()] == ["error: refused", "B"]


async def test_waiting_caller_that_is_cancelled_is_not_sent(
    commit: GroupCommit[str, str], sender: Sender
) -> None:
    async with callers(commit) as start:
        first, second, third = [await start(item) for item in "abc"]
        await cancel(second)
        sender.answer()
        await sender.has_sent(2)
        sender.answer()

    assert [items for _, items in sender.batches] == [["a"], ["c"]]
    assert [first.result(), third.result()] == ["A", "C"]


async def test_caller_cancelled_while_its_batch_is_under_way_does_not_harm_the_others(
    commit: GroupCommit[str, str], sender: Sender
) -> None:
    async with callers(commit) as start:
        _, second, third = [await start(item) for item in "abc"]
        sender.answer()
        await sender.has_sent(2)
        await cancel(third)
        sender.answer()

    assert second.result() == "B"


async def test_batch_of_a_cancelled_leader_is_sent_again_under_its_key(
    commit: GroupCommit[str, str], sender: Sender
) -> None:
    async with callers(commit) as start:
        _, second, third = [await start(item) for item in "abc"]
        sender.answer()
        await sender.has_sent(2)
        await cancel(second)
        await sender.has_sent(3)
        sender.answer()

    assert sender.batches[1] == sender.batches[2] == ("key2", ["b", "c"])
    assert third.result() == "C"


async def test_cancelled_first_leader_hands_over_to_those_who_wait(
    commit: GroupCommit[str, str], sender: Sender
) -> None:
    async with callers(commit) as start:
        first, second = [await start(item) for item in "ab"]
        await cancel(first)
        await sender.has_sent(2)
        sender.answer()

    assert second.result() == "B"


async def test_cancelled_lonely_leader_does_not_block_the_next_caller(
    commit: GroupCommit[str, str], sender: Sender
) -> None:
    async with callers(commit) as start:
        await cancel(await start("a"))
        second = await start("b")
        await sender.has_sent(2)
        sender.answer()

    assert second.result() == "B"
    assert sender.batches[1] == ("key2", ["b"])


async def test_leader_cancelled_as_it_is_chosen_hands_the_lead_on(
    commit: GroupCommit[str, str], sender: Sender
) -> None:
    async with callers(commit) as start:
        first, second, third = [await start(item) for item in "abc"]
        sender.answer()  # first goes on next, and chooses second; then second is cancelled
        asyncio.get_running_loop().call_soon(second.cancel)
        await asyncio.wait([second])
        await sender.has_sent(2)
        sender.answer()

    assert second.cancelled()
    assert [items for _, items in sender.batches] == [["a"], ["c"]]
    assert [first.result(), third.result()] == ["A", "C"]


async def test_batch_that_nobody_waits_for_any_more_is_not_sent_again(
    commit: GroupCommit[str, str], sender: Sender
) -> None:
    async with callers(commit) as start:
        first, second = [await start(item) for item in "ab"]
        await cancel(first)
        await sender.has_sent(2)
        sender.answer()

    assert second.result() == "B"
    assert sender.batches[1] == ("key2", ["b"])


async def test_everybody_cancelled_leaves_it_ready_for_the_next(
    commit: GroupCommit[str, str], sender: Sender
) -> None:
    async with callers(commit) as start:
        tasks = [await start(item) for item in "abcd"]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        last = await start("e")
        await wait_until(lambda: sender.batches[-1][1] == ["e"], within=2, what="the last batch")
        sender.answer()

    assert last.result() == "E"
