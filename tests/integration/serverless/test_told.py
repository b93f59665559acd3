"""What is told of jobs that wait in SQS: nothing of Redis, which is not there."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from prometheus_client import parser
from tests.integration.cli.programs import environment, run
from tests.integration.http.running import OPERATOR, connected, make_settings
from tests.integration.serverless.aws import AwsServer, make_queue
from tests.interop.live.waiting import wait_for
from tests.support import free_port

from oxcart.sqs import SqsAddress
from oxcart.system import System, open_system

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient


@pytest.fixture
def queues(sqs: SQSClient) -> list[SqsAddress]:
    return [make_queue(sqs, name) for name in ("email", "export")]


def settings_of(queues: Sequence[SqsAddress]) -> dict[str, Any]:
    return {
        "broker": "sqs",
        "sqs_queues": tuple(f"{item.queue}={item.url}" for item in queues),
        "sqs_dead_letter_queues": tuple(f"{item.queue}={item.dead_letter_url}" for item in queues),
    }


@pytest.fixture
async def system(queues: list[SqsAddress], tmp_path: Path) -> AsyncIterator[System]:
    async with open_system(make_settings(tmp_path, **settings_of(queues))) as system:
        yield system


@pytest.fixture
async def lost(
    queues: list[SqsAddress], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[System]:
    """The system where nobody answers for SQS."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    async with open_system(make_settings(tmp_path, **settings_of(queues))) as system:
        yield system


async def get(system: System, path: str) -> httpx2.Response:
    async with connected(system, OPERATOR) as operator:
        return await operator.get(path)


async def samples(system: System) -> dict[tuple[str, ...], float]:
    """The samples of a scrape, by name and the values of their labels."""
    text = (await get(system, "/metrics")).text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("oxcart_")
    }


async def test_health_names_sqs_when_that_does_not_answer(lost: System) -> None:
    report = (await get(lost, "/api/health")).json()

    assert "degraded" == report["status"]
    assert "unhealthy" == report["checks"]["queues"]["status"]
    assert "Redis" not in report["checks"]["queues"]["error"]


async def test_health_is_well_when_sqs_answers(system: System) -> None:
    report = (await get(system, "/api/health")).json()

    assert "healthy" == report["status"]


def test_status_speaks_of_sqs(queues: list[SqsAddress], aws: AwsServer, tmp_path: Path) -> None:
    urls = ",".join(settings_of(queues)["sqs_queues"])
    env = environment(tmp_path, **aws.environ, OXCART_BROKER="sqs", OXCART_SQS_QUEUES=urls)

    table = run("status", env=env)
    report = json.loads(run("status", "-o", "json", env=env).stdout)

    assert 0 == table.returncode, table.stderr
    assert ["sqs", "healthy"] == next(
        line.split() for line in table.stdout.splitlines() if line.startswith("sqs")
    )
    assert "redis" not in table.stdout
    assert (True, False) == (report["sqsConnected"], "redisConnected" in report)


async def test_figures_are_those_that_sqs_knows(
    system: System, sqs: SQSClient, queues: list[SqsAddress]
) -> None:
    sqs.send_message(QueueUrl=queues[0].url, MessageBody="x")
    sqs.send_message(QueueUrl=queues[0].url, MessageBody="x", DelaySeconds=900)

    found = await wait_for(
        lambda: samples(system),
        lambda found: bool(found["oxcart_sqs_up",]),  # a busy machine's SQS may answer too late
        within=30,
        what="SQS to answer in time",
    )

    states = ("waiting", "active", "delayed", "failed")
    assert {
        ("oxcart_queue_jobs", queue, state): float(queue == "email" and state[0] in "wd")
        for queue in ("email", "export")
        for state in states
    } == {key: value for key, value in found.items() if key[0].startswith("oxcart_queue")}
    assert 1 == found["oxcart_sqs_up",]
    assert ("oxcart_redis_up",) not in found


async def test_sqs_that_does_not_answer_is_told_and_no_error(lost: System) -> None:
    found = await samples(lost)

    assert 0 == found["oxcart_sqs_up",]
    assert 1 == found["oxcart_database_up",]
    assert not [key for key in found if key[0].startswith("oxcart_queue")]
