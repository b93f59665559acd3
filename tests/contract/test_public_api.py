"""The public surface, and what importing it costs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import oxcart
from oxcart import errors

SOURCE = Path(oxcart.__file__).parent
HEAVY = ("redis", "sqlalchemy", "fastapi", "aiosmtplib", "jinja2", "pydantic", "typer", "rich")


def test_all_is_sorted_and_everything_in_it_is_there() -> None:
    assert sorted(oxcart.__all__) == oxcart.__all__
    assert [name for name in oxcart.__all__ if not hasattr(oxcart, name)] == []


def test_everything_public_has_a_docstring() -> None:
    public = {name: getattr(oxcart, name) for name in oxcart.__all__}

    assert [
        name for name, value in public.items() if isinstance(value, type) and not value.__doc__
    ] == []


def test_importing_oxcart_imports_nothing_heavy() -> None:
    program = (
        "import sys, oxcart; oxcart.App; "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "[]" == done.stdout.strip()


def test_type_checkers_see_the_names_that_are_there_and_where_they_come_from() -> None:
    stub = ast.parse(Path(oxcart.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    seen = {
        alias.name: f"{statement.module}"
        for statement in stub.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
        if alias.name != "__version__"
    }

    assert seen == {name: f"oxcart.{home}" for name, home in vars(oxcart)["_HOME_OF"].items()}


def test_a_name_that_is_not_there_is_an_attribute_error_and_a_module_is_imported() -> None:
    program = "import oxcart; print(hasattr(oxcart, 'nothing'), oxcart.errors.OxcartError)"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "False <class 'oxcart.errors.OxcartError'>" == done.stdout.strip()


def test_error_tree_in_the_docstring_names_every_error() -> None:
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or "")) | {"OxcartError", "Steering"}
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type)
        and issubclass(value, Exception)
        and value.__module__ == errors.__name__
    }

    assert defined == drawn


def test_modules_and_scripts_stay_small() -> None:
    limits = {".py": 400, ".lua": 200}
    too_long = [
        f"{path.relative_to(SOURCE)}: {lines}"
        for path in SOURCE.rglob("*")
        if path.suffix in limits
        and (lines := len(path.read_text(encoding="utf-8").splitlines())) > limits[path.suffix]
    ]

    assert [] == too_long
