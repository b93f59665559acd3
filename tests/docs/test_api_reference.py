"""The reference of the Python API is what the docstrings say now."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.docs.pages import ROOT

import oxcart
from oxcart import errors, sync

PAGE = ROOT / "docs" / "reference" / "python-api.md"


def test_reference_is_not_stale() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "api_reference.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "" == done.stdout + done.stderr


def test_reference_has_every_public_name_once() -> None:
    headings = re.findall(r"^### `(.*)`$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    kinds = [
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type)
        and issubclass(kind, errors.OxcartError)
        and name not in oxcart.__all__
    ]

    assert sorted(headings) == sorted(
        [
            *oxcart.__all__,
            *(f"sync.{name}" for name in sync.__all__),
            *(f"errors.{name}" for name in kinds),
        ]
    )
