from __future__ import annotations

import pytest

from oxcart._wire.codes import error_of
from oxcart.errors import (
    ChildrenFailed,
    ChildrenPending,
    JobNotFound,
    JobNotInState,
    LockLost,
    LockMismatch,
    OxcartError,
    ParentConflict,
    UnknownCode,
)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (-1, JobNotFound),
        (-2, LockLost),
        (-3, JobNotInState),
        (-6, LockMismatch),
        (-8, JobNotInState),
        (-4, ChildrenPending),
        (-7, ParentConflict),
        (-9, ChildrenFailed),
        (-99, UnknownCode),
    ],
)
def test_each_code_stands_for_one_error(code: int, kind: type[OxcartError]) -> None:
    error = error_of(code, job_id="j7", queue="mail", expected="delayed")

    assert type(error) is kind
    assert "j7" in str(error)
    assert "mail" in str(error)


def test_state_that_was_needed_is_told() -> None:
    error = error_of(-3, job_id="1", queue="q", expected="delayed")

    assert isinstance(error, JobNotInState)
    assert error.expected == "delayed"
