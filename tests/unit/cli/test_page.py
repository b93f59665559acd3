"""Until when a parent keeps the locks of a process that stands still."""

from __future__ import annotations

import time

from oxcart.cli.line import ChildLine, Page


def pages() -> tuple[Page, Page]:
    """The parent's view of the memory and the child's."""
    line = ChildLine(watchdog_s=10.0, start_s=60.0)
    theirs = Page(line.fds[1])
    line.let_go()
    line.close()
    return line.page, theirs


def test_lock_that_had_not_run_out_is_kept() -> None:
    ours, theirs = pages()
    until = time.monotonic() + 60

    ours.keep(until)

    assert until == theirs.kept_until(time.monotonic())


def test_lock_that_ran_out_before_is_not_kept_however_often_others_are() -> None:
    ours, theirs = pages()
    expired_at = time.monotonic()

    for seconds in (60, 70):
        ours.keep(time.monotonic() + seconds)

    assert 0.0 == theirs.kept_until(expired_at - 0.001)


def test_lock_is_kept_by_one_renewal_after_another() -> None:
    ours, theirs = pages()
    ours.keep(time.monotonic() + 60)
    expires_at = time.monotonic()

    ours.keep(expires_at + 120)

    assert expires_at + 120 == theirs.kept_until(expires_at)


def test_lock_is_not_kept_across_a_time_in_which_nobody_renewed_it() -> None:
    ours, theirs = pages()
    ours.keep(time.monotonic())  # runs out at once
    expires_at = time.monotonic()
    while time.monotonic() <= expires_at:
        pass

    ours.keep(time.monotonic() + 60)

    assert 0.0 == theirs.kept_until(expires_at)
