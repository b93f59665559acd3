"""Programs that call a queue in unusual ways; the first argument names one of them."""

from __future__ import annotations

import asyncio
import os
import sys
import time

from tests.faults.catalogue.ledger import ACKNOWLEDGED, GOOD, TRIED, LedgerWriter

import oxcart
from oxcart import JsonValue
from oxcart.errors import OxcartError
from oxcart.sync import Queue

book = LedgerWriter(os.environ["TEST_LEDGER"])
prefix = os.environ["TEST_PREFIX"]


def add(queue: Queue, reference: str) -> str:
    """Add a job and write it to the ledger."""
    book.write(TRIED, reference)
    job = queue.add("work", {"ref": reference})
    book.write(ACKNOWLEDGED, reference, f"q:{job.id}")
    return job.id


def fork(count: int) -> None:
    """Use one blocking queue before and after a fork, in parent and children at the same time."""
    queue = Queue("q", prefix=prefix)
    add(queue, f"{GOOD}fork.0")
    children = []
    for child in range(1, 5):
        pid = os.fork()
        if not pid:
            for number in range(count):
                add(queue, f"{GOOD}fork{child}.{number}")
            os._exit(0)
        children.append(pid)
    for number in range(count):
        add(queue, f"{GOOD}fork0.{number + 1}")
    codes = [os.waitpid(pid, 0)[1] for pid in children]
    queue.close()
    sys.exit(any(codes))


async def wait_for_results(count: int) -> None:
    """Wait for the results of many jobs at once; print how many came."""
    async with oxcart.Queue("q", prefix=prefix) as queue:

        async def ask(number: int) -> None:
            reference = f"{GOOD}result.{number}"
            data: dict[str, JsonValue] = {"ref": reference, "ms": 20 * (number % 200)}
            while True:
                try:
                    job = await queue.add("work", data, job_id=reference)
                except OxcartError:
                    continue
                break
            book.write(ACKNOWLEDGED, reference, f"q:{job.id}")
            while True:
                try:
                    results.append(await job.result(timeout="60s"))
                except OxcartError as error:
                    errors.append(type(error).__name__)
                    if time.monotonic() > until:
                        return
                    await asyncio.sleep(0.2)
                else:
                    return

        until = time.monotonic() + 60
        results: list[object] = []
        errors: list[str] = []
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(ask(number))
    sys.stdout.write(f"results {len(results)} errors {len(errors)}\n")
    sys.stderr.write(f"{sorted(set(errors))}\n")


async def cancel_adds(count: int) -> None:
    """Cancel every second add after a moment; the ids of the others must be their own."""
    wrong = 0
    async with oxcart.Queue("q", prefix=prefix) as queue:

        async def one(number: int) -> None:
            nonlocal wrong
            reference = f"{GOOD}cancel.{number}"
            book.write(TRIED, reference)
            if number % 2:
                try:
                    async with asyncio.timeout((number % 60) / 1_000):
                        await queue.add("work", {"ref": reference}, job_id=reference)
                except TimeoutError:
                    return
            else:
                job = await queue.add("work", {"ref": reference}, job_id=reference)
                wrong += job.id != reference
            book.write(ACKNOWLEDGED, reference, f"q:{reference}")

        for start in range(0, count, 100):
            async with asyncio.TaskGroup() as group:
                for number in range(start, start + 100):
                    group.create_task(one(number))
    sys.exit(wrong > 0)


if __name__ == "__main__":
    name, size = sys.argv[1], int(sys.argv[2])
    if name == "fork":
        fork(size)
    else:
        asyncio.run({"results": wait_for_results, "cancel": cancel_adds}[name](size))
