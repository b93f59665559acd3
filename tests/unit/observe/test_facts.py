"""Every line that oxcart logs is one event with named facts, and stands in the documentation."""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oxcart.observe.facts import extras_of, read_line

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "how-to" / "errors-and-logs.md"
LEVELS = ("debug", "info", "warning", "error", "exception", "critical")
NAME = re.compile(r"[a-z_]+(\.[a-z_]+)+")


def templates() -> Iterator[tuple[str, str]]:
    """Where each line is logged, and its template, or every literal text that it may have."""
    for path in sorted((ROOT / "src" / "oxcart").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "event":
                value = node.value  # logged by the embedded server, once it is decided which
                if isinstance(value, ast.Constant) and NAME.fullmatch(str(value.value)):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", str(value.value)
            if isinstance(node, ast.Call) and _logs(node):
                where = f"{path.relative_to(ROOT)}:{node.lineno}"
                for constant in ast.walk(node.args[0]):
                    if isinstance(constant, ast.Constant) and isinstance(constant.value, str):
                        yield where, constant.value


def _logs(node: ast.Call) -> bool:
    return (
        isinstance(node.func, ast.Attribute)
        and node.func.attr in LEVELS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in ("log", "audit_log")
        and bool(node.args)
    )


def record_of(template: str, *args: Any, **extra: Any) -> logging.LogRecord:
    logger = logging.getLogger("oxcart.worker")
    return logger.makeRecord(
        "oxcart.worker", logging.INFO, "", 0, template, args, None, extra=extra
    )


def filled(template: str) -> tuple[Any, ...]:
    """Arguments for a template."""
    kinds = re.findall(r"%([sdg])", template)
    return tuple("text" if kind == "s" else 7 for kind in kinds)


TEMPLATES = list(templates())


def test_lines_were_found() -> None:
    assert len(TEMPLATES) > 50


@pytest.mark.parametrize(("where", "template"), TEMPLATES)
def test_line_is_read_as_an_event_with_its_facts(where: str, template: str) -> None:
    event, facts = read_line(record_of(template, *filled(template)))

    assert NAME.fullmatch(event), f"{where} logs {template!r}"
    named = set(re.findall(r"(\w+)=%", template.partition(": ")[0]))
    assert {"job_name" if key == "name" and "job_id" in named else key for key in named} <= set(
        facts
    )
    assert (": " in template) == ("reason" in facts)


def test_facts_of_a_line_that_names_a_job() -> None:
    event, facts = read_line(
        record_of(
            "job.retried %s delay_ms=%d: %s", "queue=mail job_id=a b name=x y", 5, "no: such=1"
        )
    )

    assert "job.retried" == event
    assert facts == {
        "queue": "mail",
        "job_id": "a b",
        "job_name": "x y",
        "delay_ms": 5,
        "reason": "no: such=1",
    }


@pytest.mark.parametrize(
    ("template", "args"),
    [("job.done %s %s", ("one",)), ("Some text: %s", ("x",)), ("job.done %d", ("x",))],
)
def test_line_of_another_form_stays_a_text(template: str, args: tuple[Any, ...]) -> None:
    event, facts = read_line(record_of(template, *args))

    assert {} == facts
    assert event in {"job.done %s %s", "Some text: x", "job.done %d"}


def test_extras_are_what_was_given() -> None:
    record = record_of("email.sent", job_id="1")
    logging.Formatter("%(asctime)s").format(record)

    assert {"job_id": "1"} == extras_of(record)


def test_documentation_names_every_event_and_no_other() -> None:
    documented = set(re.findall(r"^\| `([a-z_.]+)` \|", PAGE.read_text("utf-8"), re.MULTILINE))
    logged: set[str] = set()
    for _, template in TEMPLATES:
        event = template.split(" ")[0].rstrip(":")
        if "%s" in event:  # the scheduler's lines: the kind of refusal is a part of the name
            logged |= {event % kind for kind in ("wrong_key", "not_made")}
        else:
            logged.add(event)

    assert logged - documented == set()
    assert documented - logged == set()
