"""Jobs go to SQS as it takes them, and what it cannot hold is refused with a way out."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.serverless.aws import counts, make_queue, receive
from tests.support import free_port

from oxcart import App, Deduplication, JobSpec, exponential
from oxcart.errors import ConfigError, PayloadError, StoreUnavailable
from oxcart.sqs import NotInSqs, SqsAddress, SqsBroker

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient


@pytest.fixture
def address(sqs: SQSClient) -> SqsAddress:
    return make_queue(sqs, "images")


@pytest.fixture
def fifo(sqs: SQSClient) -> SqsAddress:
    return make_queue(sqs, "images", is_fifo=True)


def app_of(*addresses: SqsAddress, **options: Any) -> App:
    return App(broker=SqsBroker({item.queue: item for item in addresses}, **options))


async def test_declared_job_is_sent_with_its_options(sqs: SQSClient, address: SqsAddress) -> None:
    app = app_of(address)

    @app.job(queue="images", attempts=5, backoff=exponential("2s"))
    async def resize(image_id: int, width: int = 800) -> None: ...

    job = await resize.options(job_id="image-7").enqueue(image_id=7)
    await app.aclose()

    (message,) = receive(sqs, address.url)
    body = json.loads(message["Body"])
    assert ("image-7", True) == (job.id, job.is_new)
    assert ("image-7", "resize") == (body["id"], body["name"])
    assert {"image_id": 7, "width": 800} == body["data"]
    assert (5, {"type": "exponential", "delay": 2000}) == (
        body["opts"]["attempts"],
        body["opts"]["backoff"],
    )
    assert abs(body["timestamp"] / 1_000 - datetime.now(UTC).timestamp()) < 60


async def test_delay_up_to_fifteen_minutes_is_left_to_sqs(
    sqs: SQSClient, address: SqsAddress
) -> None:
    queue = app_of(address).queue("images")

    await queue.add("late", {}, delay="15m")
    await queue.add("soon", {}, delay=datetime.now(UTC) - timedelta(seconds=5))

    assert (1, 0, 1) == counts(sqs, address.url)


@pytest.mark.parametrize("delay", ["15m1s", datetime(2999, 1, 1, tzinfo=UTC)])
async def test_longer_delay_is_refused_with_the_way_out(address: SqsAddress, delay: Any) -> None:
    with pytest.raises(NotInSqs, match=r"900 s at the most; let the handler raise Delay"):
        await app_of(address).queue("images").add("late", {}, delay=delay)


async def test_fifo_queue_gets_group_and_deduplication_ids(
    sqs: SQSClient, fifo: SqsAddress
) -> None:
    queue = app_of(fifo, group_of=lambda _, spec: f"group-{spec.name}").queue("images")

    first = await queue.add("resize", {"n": 1}, job_id="only-once")
    await queue.add("resize", {"n": 2}, job_id="only-once")
    await queue.add("crop", {}, deduplication="crops")
    await queue.add("crop", {"again": True}, deduplication=Deduplication(id="crops", ttl="5m"))

    found = {
        message["Attributes"]["MessageDeduplicationId"]: message["Attributes"]["MessageGroupId"]
        for message in receive(sqs, fifo.url)
    }
    assert "only-once" == first.id
    assert {"only-once": "group-resize", "crops": "group-crop"} == found


async def test_fifo_queue_is_one_group_unless_told_otherwise(
    sqs: SQSClient, fifo: SqsAddress
) -> None:
    queue = app_of(fifo).queue("images")
    await queue.add_many([JobSpec(name="resize", data={"n": n}) for n in range(12)])

    messages = receive(sqs, fifo.url)

    assert {"images"} == {message["Attributes"]["MessageGroupId"] for message in messages}
    assert list(range(10)) == [json.loads(message["Body"])["data"]["n"] for message in messages]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"delay": "5s"}, "use a standard queue"),
        ({"deduplication": Deduplication(id="x", replace=True)}, "an id alone, or ttl='5m'"),
        ({"deduplication": Deduplication(id="x", ttl="1h")}, "an id alone, or ttl='5m'"),
    ],
)
async def test_what_fifo_queues_cannot_do_is_refused(
    sqs: SQSClient, fifo: SqsAddress, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(NotInSqs, match=words):
        await app_of(fifo).queue("images").add("resize", {}, **options)

    assert (0, 0, 0) == counts(sqs, fifo.url)


async def test_deduplication_in_a_standard_queue_is_refused(address: SqsAddress) -> None:
    with pytest.raises(NotInSqs, match=r"a standard queue, .* use a FIFO queue"):
        await app_of(address).queue("images").add("resize", {}, deduplication="x")


async def test_what_needs_redis_is_refused_by_name(address: SqsAddress) -> None:
    app = app_of(address)

    @app.job(queue="images")
    async def resize() -> None: ...

    queue = app.queue("images")
    job = await queue.add("resize")
    for attempt in (queue.pause(), job.result(), queue.get_jobs("failed")):  # type: ignore[arg-type]
        with pytest.raises(NotInSqs, match="needs Redis, and jobs are in SQS here"):
            await attempt
    with pytest.raises(ConfigError, match="a worker needs Redis"):
        app.worker()
    with pytest.raises(ConfigError, match="a flow needs Redis"):
        await app.add_flow(resize.node())
    with pytest.raises(ConfigError, match="queue 'sounds' is not in SQS"):
        app.queue("sounds")


async def test_payload_over_the_limit_is_refused_with_the_way_out(
    sqs: SQSClient, address: SqsAddress
) -> None:
    queue = app_of(address).queue("images")

    with pytest.raises(PayloadError, match=r"1,0\d\d,\d\d\d bytes as a message.*S3 object"):
        await queue.add("resize", {"text": "x" * 1_048_000})
    await queue.add("resize", {"text": "é" * 500_000})

    assert (1, 0, 0) == counts(sqs, address.url)


async def test_many_jobs_go_ten_a_call_and_not_over_the_size_of_one(
    sqs: SQSClient, address: SqsAddress
) -> None:
    queue = app_of(address).queue("images")
    large = "x" * 400_000
    specs = [JobSpec(name="resize", data={"text": large}) for _ in range(5)]
    specs += [JobSpec(name="resize", data={"n": n}) for n in range(23)]

    jobs = await queue.add_many(specs)

    assert 28 == len({job.id for job in jobs})
    assert (28, 0, 0) == counts(sqs, address.url)
    assert 28 == (await queue.get_counts()).waiting


async def test_concurrent_adds_each_get_their_own_job(sqs: SQSClient, address: SqsAddress) -> None:
    queue = app_of(address).queue("images")

    async with asyncio.TaskGroup() as group:
        adds = [group.create_task(queue.add("resize", {"n": n})) for n in range(35)]

    assert 35 == len({add.result().id for add in adds})
    assert [{"n": n} for n in range(35)] == [add.result().data for add in adds]
    assert (35, 0, 0) == counts(sqs, address.url)


async def test_caller_that_is_cancelled_sends_nobodys_job_twice(
    sqs: SQSClient, address: SqsAddress
) -> None:
    queue = app_of(address).queue("images")

    async with asyncio.TaskGroup() as group:
        adds = [group.create_task(queue.add("resize", {"n": n})) for n in range(6)]
        await asyncio.sleep(0)
        adds[0].cancel()
    await asyncio.get_running_loop().shutdown_default_executor()  # the thread of the cancelled add

    assert (6, 0, 0) == counts(sqs, address.url)


def test_blocking_code_sends_too(sqs: SQSClient, address: SqsAddress) -> None:
    app = app_of(address)

    @app.job(queue="images")
    def resize(image_id: int) -> None: ...

    job = resize.enqueue_sync(image_id=7)
    app.sync_queue("images").add_many([JobSpec(name="resize", data={"n": n}) for n in range(11)])

    assert job.is_new
    assert 12 == app.sync_queue("images").get_counts().waiting
    with pytest.raises(NotInSqs, match="needs Redis"):
        app.sync_queue("images").pause()


async def test_characters_that_xml_lacks_arrive(sqs: SQSClient, address: SqsAddress) -> None:
    text = "a\x00b\x1f\ufffe\uffff🙂"
    await app_of(address).queue("images").add("resize", {"text": text})

    (message,) = receive(sqs, address.url)
    assert {"text": text} == json.loads(message["Body"])["data"]


async def test_sqs_that_is_away_is_a_store_that_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, address: SqsAddress
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")

    with pytest.raises(StoreUnavailable, match="SQS cannot be reached for SendMessageBatch"):
        await app_of(address).queue("images").add("resize")


async def test_queue_that_is_not_there_is_told(sqs: SQSClient, address: SqsAddress) -> None:
    sqs.delete_queue(QueueUrl=address.url)

    with pytest.raises(StoreUnavailable, match=r"SQS refused SendMessageBatch: .*NonExistent"):
        await app_of(address).queue("images").add("resize")
