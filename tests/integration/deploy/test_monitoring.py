"""The page on Prometheus and its rules: what they ask for is what the API tells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import parser
from tests.docs.pages import FENCE
from tests.integration.deploy.dockerfile import ROOT
from tests.unit.http.fakes import FakeSystem, make_api

from oxcart import JobState, QueueFigures
from oxcart.observe.fleet import FleetFacts
from oxcart.observe.prometheus import Exposition

PAGE = ROOT / "docs" / "how-to" / "monitoring.md"
KUBERNETES = ROOT / "docs" / "how-to" / "kubernetes.md"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text("utf-8"))[
        "groups"
    ]
    for rule in group["rules"]
]
_DURATION = re.compile(r"\d+[smh]\Z")


def told(broker: str) -> set[tuple[str, frozenset[str]]]:
    """Each name that can be told, with the names of its labels."""
    figures = QueueFigures(
        counts=dict.fromkeys(JobState, 1),
        oldest_waiting_ms=1,
        finished_counts={JobState.COMPLETED: 1, JobState.FAILED: 1},
    )
    facts = FleetFacts(
        broker=broker,
        is_broker_up=True,
        is_database_up=True,
        queues={"email": figures},
        workers={"email": 1},
        paused_workers={"email": 1},
        exports={"PENDING": 1},
    )
    text, _ = Exposition().write(facts, "")
    return {
        (sample.name, frozenset(sample.labels))
        for family in parser.text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


TOLD = dict(told("redis") | told("sqs"))


def selectors(expression: Any) -> Iterator[Any]:
    """Every selector of a PromQL expression."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
    for part in ("expr", "lhs", "rhs", "vector_selector"):
        inner = getattr(expression, part, None)
        if inner is not None:
            yield from selectors(inner)
    for inner in getattr(expression, "args", ()):
        yield from selectors(inner)


def check_query(query: str) -> None:
    """Check that a query is PromQL, and that all it asks for is told."""
    found = list(selectors(promql_parser.parse(query)))
    assert found
    for selector in found:
        matchers = {matcher.name: matcher.value for matcher in selector.matchers.matchers}
        pattern = selector.name or matchers.pop("__name__")
        names = [name for name in TOLD if re.fullmatch(pattern, name)]
        assert names, pattern
        for name in names:
            assert matchers.keys() <= TOLD[name], (name, matchers)


def fences(language: str) -> list[str]:
    found = FENCE.findall(PAGE.read_text("utf-8"))
    return [body for kind, _, body in found if kind == language]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_rule_asks_for_what_is_told(rule: dict[str, Any]) -> None:
    check_query(rule["expr"])
    assert _DURATION.match(rule.get("for", "0s"))
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert {"summary"} == rule["annotations"].keys()


def test_page_lists_the_rules_that_there_are() -> None:
    listed = re.findall(r"^\| `(Oxcart\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)

    assert [rule["alert"] for rule in RULES] == listed


@pytest.mark.parametrize("query", fences("promql"))
def test_query_of_the_page_asks_for_what_is_told(query: str) -> None:
    check_query(query)


def test_trigger_for_keda_asks_for_what_is_told() -> None:
    (trigger,) = (
        yaml.safe_load(body)["triggers"][0]
        for kind, _, body in FENCE.findall(KUBERNETES.read_text("utf-8"))
        if kind == "yaml" and "prometheus" in body
    )

    assert "prometheus" == trigger["type"]
    assert all(isinstance(value, str) for value in trigger["metadata"].values())
    check_query(trigger["metadata"]["query"])


def test_page_explains_every_name_and_no_other() -> None:
    text = PAGE.read_text("utf-8")
    rows = re.findall(r"^\| (`oxcart_.+?) \|(.*?)\| .+ \|$", text, re.MULTILINE)
    explained = {
        name: frozenset(re.findall(r"`(\w+)`", labels))
        for names, labels in rows
        for name in re.findall(r"`(\w+)`", names)
    }

    ours = {name: labels for name, labels in TOLD.items() if name.startswith("oxcart_")}
    assert explained | {"oxcart_sqs_up": frozenset()} == ours


def test_scrape_leads_to_the_route_with_a_key() -> None:
    (scrape,) = (
        yaml.safe_load(body)["scrape_configs"][0]
        for body in fences("yaml")
        if "scrape_configs" in body
    )

    path = scrape.get("metrics_path", "/metrics")
    assert path in make_api(FakeSystem()).openapi()["paths"]
    assert scrape["authorization"].keys() == {"credentials_file"}


def test_names_for_bullmqs_dashboards_are_made_of_a_name_that_is_told() -> None:
    (renaming,) = (
        yaml.safe_load(body)["metric_relabel_configs"][0]
        for body in fences("yaml")
        if "metric_relabel_configs" in body
    )

    assert {"queue", "state"} == TOLD[renaming["regex"]]
