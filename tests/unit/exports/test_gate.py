from __future__ import annotations

from datetime import timedelta

from oxcart.exports.gate import QueueGate


def test_gate_is_closed_for_a_while_after_each_failure() -> None:
    now = [100.0]
    gate = QueueGate(closed_for=timedelta(seconds=5), clock=lambda: now[0])
    seen = [gate.is_open]

    gate.close()
    for now[0] in (100.0, 104.9, 105.0):
        seen.append(gate.is_open)
    gate.close()
    seen.append(gate.is_open)

    assert seen == [True, False, False, True, False]
