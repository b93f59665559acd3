"""The SAM template is valid, fits the settings, and gives SQS the figures that it needs."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from oxcart.exports.jobs import ATTEMPTS
from oxcart.serverless import LambdaHandler
from oxcart.serverless.records import is_timer
from oxcart.serverless.verdicts import SPARE_RECEIVES
from oxcart.settings import ENVIRONMENT

TEMPLATE = Path(__file__).parents[3] / "deploy" / "serverless" / "template.yaml"
NOT_OURS = {"AWS_REGION"}


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms: ``!Ref x`` as ``{"Ref": "x"}``."""


def _short_form(loader: Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return {tag: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {tag: loader.construct_sequence(node, deep=True)}
    raise AssertionError(node)


Loader.add_multi_constructor("!", _short_form)


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(TEMPLATE.read_text("utf-8"), Loader)  # noqa: S506  # a SafeLoader
    return loaded


def of_type(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def sources(template: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any], str]]:
    """Each event source: its function, itself, and the name of its queue."""
    return [
        (function, event["Properties"], event["Properties"]["Queue"]["GetAtt"].split(".")[0])
        for function in of_type(template, "AWS::Serverless::Function").values()
        for event in function["Events"].values()
        if event["Type"] == "SQS"
    ]


def test_linter_finds_nothing() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), TEMPLATE],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    assert (0, "") == (done.returncode, done.stdout), done.stdout + done.stderr


def test_every_queue_feeds_a_function_that_reports_partial_failures(
    template: dict[str, Any],
) -> None:
    found = sources(template)

    assert {"EmailQueue", "ExportQueue"} == {queue for _, _, queue in found}
    for _, event, _ in found:
        assert ["ReportBatchItemFailures"] == event["FunctionResponseTypes"]


def test_messages_stay_hidden_for_six_times_the_functions_time(template: dict[str, Any]) -> None:
    queues = of_type(template, "AWS::SQS::Queue")

    for function, _, queue in sources(template):
        assert queues[queue]["VisibilityTimeout"] >= 6 * function["Timeout"]


def test_redrive_leaves_jobs_their_attempts(template: dict[str, Any]) -> None:
    queues = of_type(template, "AWS::SQS::Queue")

    for _, _, queue in sources(template):
        policy = queues[queue]["RedrivePolicy"]
        dead = policy["deadLetterTargetArn"]["GetAtt"].split(".")[0]
        assert policy["maxReceiveCount"] > ATTEMPTS + SPARE_RECEIVES
        assert queues[dead]["MessageRetentionPeriod"] == 14 * 86_400


def test_every_dead_letter_queue_has_an_alarm(template: dict[str, Any]) -> None:
    queues = of_type(template, "AWS::SQS::Queue")
    watched = {
        alarm["Dimensions"][0]["Value"]["GetAtt"].split(".")[0]
        for alarm in of_type(template, "AWS::CloudWatch::Alarm").values()
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
    }

    assert {name for name in queues if name.endswith("DeadLetters")} == watched


def test_every_variable_is_a_setting(template: dict[str, Any]) -> None:
    variables = set(template["Globals"]["Function"]["Environment"]["Variables"])
    known = {name for names in ENVIRONMENT.values() for name in names}

    assert set() == variables - known - NOT_OURS
    assert {"OXCART_BROKER", "OXCART_SQS_QUEUES", "OXCART_SQS_DEAD_LETTER_QUEUES"} <= variables


def test_handler_is_where_the_template_says(template: dict[str, Any]) -> None:
    module, _, name = template["Globals"]["Function"]["Handler"].rpartition(".")

    assert isinstance(getattr(importlib.import_module(module), name), LambdaHandler)


def test_timer_sends_what_the_handler_takes_for_one(template: dict[str, Any]) -> None:
    timers = [
        event["Properties"]
        for function in of_type(template, "AWS::Serverless::Function").values()
        for event in function["Events"].values()
        if event["Type"] == "ScheduleV2"
    ]

    assert 1 == len(timers)
    assert is_timer(json.loads(timers[0]["Input"]))
