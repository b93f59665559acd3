"""What a process and the one that watches over it tell each other."""

from __future__ import annotations

import os
from dataclasses import replace

from tests.unit.cli.test_silence import claim

from oxcart.cli.line import ChildLine, ParentLine


def test_claim_of_very_many_queues_is_understood() -> None:
    line = ChildLine(watchdog_s=10.0, start_s=60.0)
    theirs, page = (os.dup(fd) for fd in line.fds)
    parent = ParentLine.take_from({"OXCART_SUPERVISOR": f"{theirs},{page},10.0,60.0,all"})
    assert parent is not None
    wide = replace(claim(), queues=tuple(f"{number}-{'q' * 60}" for number in range(2_000)))

    parent.begin(wide)
    messages = line.read()
    line.let_go()
    line.close()

    assert [wide] == [message.claim for message in messages]
