from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from tests.support import wait_until_sync

from oxcart._engine.daemon_pool import DaemonPool

WAIT_S = 5


@pytest.fixture
def pool() -> Iterator[DaemonPool]:
    opened = DaemonPool(3, name="pool-under-test")
    yield opened
    opened.close()
    wait_until_sync(lambda: not threads_of_pool(), within=WAIT_S, what="the threads to go")


def threads_of_pool() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("pool-under")]


def test_function_runs_in_a_thread_that_does_not_keep_the_process_alive(pool: DaemonPool) -> None:
    thread = pool.submit(threading.current_thread).result(WAIT_S)

    assert thread is not threading.main_thread()
    assert thread.daemon


def test_idle_thread_is_used_again(pool: DaemonPool) -> None:
    first = pool.submit(threading.get_ident).result(WAIT_S)
    # The thread is idle a moment after its function's result is there.
    wait_until_sync(lambda: pool._idle._value == 1, within=WAIT_S, what="the thread to be idle")

    assert first == pool.submit(threading.get_ident).result(WAIT_S)


def test_functions_run_side_by_side_up_to_the_limit_and_the_rest_wait(pool: DaemonPool) -> None:
    trio, may_end, begun = threading.Barrier(3, timeout=WAIT_S), threading.Event(), []

    def work(number: int) -> int:
        begun.append(number)
        trio.wait()
        may_end.wait(WAIT_S)
        return number

    futures: list[Future[int]] = [pool.submit(lambda n=number: work(n)) for number in range(6)]  # type: ignore[misc]
    wait_until_sync(lambda: trio.n_waiting == 0 and len(begun) == 3, what="three to run")
    assert 3 == len(threads_of_pool())
    may_end.set()

    assert list(range(6)) == [future.result(WAIT_S) for future in futures]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), KeyboardInterrupt()])
def test_what_a_function_raises_goes_to_its_future_and_spares_the_thread(
    pool: DaemonPool, error: BaseException
) -> None:
    def fail() -> None:
        raise error

    assert error is pool.submit(fail).exception(WAIT_S)
    assert 7 == pool.submit(lambda: 7).result(WAIT_S)


def test_function_that_was_cancelled_before_its_turn_is_not_run(pool: DaemonPool) -> None:
    may_end, ran = threading.Event(), []
    busy = [pool.submit(lambda: may_end.wait(WAIT_S)) for _ in range(3)]
    waiting = pool.submit(lambda: ran.append(True))

    assert waiting.cancel()
    may_end.set()
    for future in busy:
        future.result(WAIT_S)
    pool.submit(lambda: None).result(WAIT_S)

    assert [] == ran


def test_work_handed_in_before_the_end_is_still_done() -> None:
    pool = DaemonPool(1, name="pool-under-test")
    may_end = threading.Event()
    first = pool.submit(lambda: may_end.wait(WAIT_S))
    second = pool.submit(lambda: "done")

    pool.close()
    may_end.set()

    assert (True, "done") == (first.result(WAIT_S), second.result(WAIT_S))
    wait_until_sync(lambda: not threads_of_pool(), within=WAIT_S, what="the threads to go")
