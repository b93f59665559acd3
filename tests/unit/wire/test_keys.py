from __future__ import annotations

import pytest

from oxcart import JobState
from oxcart._model.ids import RESERVED_IDS, check_job_id, is_readable_id
from oxcart._wire.keys import DEFAULT_PREFIX, QueueKeys, split_job_key
from oxcart.errors import ConfigError, WireError

KEYS = QueueKeys("bull", "q")
PROPERTIES = {
    "wait": "wait", "paused": "paused", "active": "active", "prioritized": "prioritized",
    "delayed": "delayed", "waiting_children": "waiting-children", "completed": "completed",
    "failed": "failed", "stalled": "stalled", "stalled_check": "stalled-check", "id": "id",
    "meta": "meta", "events": "events", "marker": "marker", "priority_counter": "pc",
    "repeat": "repeat", "limiter": "limiter", "workers": "oxcart:workers", "beats": "oxcart:beats",
}  # fmt: skip


@pytest.mark.parametrize(("name", "suffix"), PROPERTIES.items())
def test_each_key_has_bullmqs_name(name: str, suffix: str) -> None:
    assert getattr(KEYS, name) == f"bull:q:{suffix}"


def test_every_key_of_the_queue_is_tested_here() -> None:
    defined = {name for name, value in vars(QueueKeys).items() if isinstance(value, property)}

    assert defined == set(PROPERTIES)


def test_keys_of_a_job_start_with_the_base() -> None:
    assert KEYS.base == "bull:q:"
    assert KEYS.job("7") == "bull:q:7"
    assert KEYS.lock("7") == "bull:q:7:lock"
    assert KEYS.logs("7") == "bull:q:7:logs"
    assert KEYS.dependencies("7") == "bull:q:7:dependencies"
    assert KEYS.processed("7") == "bull:q:7:processed"
    assert KEYS.ignored("7") == "bull:q:7:failed"
    assert KEYS.unsuccessful("7") == "bull:q:7:unsuccessful"


def test_keys_of_deduplication_and_metrics() -> None:
    assert KEYS.deduplication("d") == "bull:q:de:d"
    assert KEYS.metrics(JobState.COMPLETED) == "bull:q:metrics:completed"
    assert KEYS.metrics_data(JobState.FAILED) == "bull:q:metrics:failed:data"


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        ("bull:q:7", ("bull", "q", "7")),
        ("a:{b}:q:x", ("a:{b}", "q", "x")),
        ("bull:q:repeat:sch:1700000000000", ("bull", "q", "repeat:sch:1700000000000")),
        ("a:b:q:repeat:s:c:h:17", ("a:b", "q", "repeat:s:c:h:17")),
    ],
)
def test_a_jobs_key_is_taken_apart(key: str, parts: tuple[str, str, str]) -> None:
    assert split_job_key(key) == parts


@pytest.mark.parametrize("key", ["", "7", "q:7", ":q:7", "bull:q:", "bull::7"])
def test_what_is_no_jobs_key_is_not_taken_apart(key: str) -> None:
    with pytest.raises(WireError):
        split_job_key(key)


def test_prefix_may_have_colons_and_a_hash_tag() -> None:
    assert QueueKeys("a:{b}", "q").wait == "a:{b}:q:wait"
    assert DEFAULT_PREFIX == "bull"


def test_private_keys_look_neither_like_a_job_nor_like_a_part_of_one() -> None:
    """Node's clean-up takes every unknown key of one or of two such parts for a lost job."""
    suffix = KEYS.private("step", "w").removeprefix(KEYS.base)

    first, _, second = suffix.partition(":")
    assert first == "oxcart"
    assert second not in {
        "", "logs", "dependencies", "processed", "failed", "unsuccessful", "lock",
    }  # fmt: skip


@pytest.mark.parametrize("state", [state for state in JobState if state is not JobState.UNKNOWN])
def test_each_state_has_its_collection(state: JobState) -> None:
    expected = "wait" if state is JobState.WAITING else state.value

    assert KEYS.of_state(state) == f"bull:q:{expected}"


def test_unknown_jobs_are_in_no_collection() -> None:
    with pytest.raises(KeyError):
        KEYS.of_state(JobState.UNKNOWN)


@pytest.mark.parametrize(
    ("queue", "worker", "name"),
    [
        ("q", None, "bull:cQ=="),
        ("q", "", "bull:cQ=="),
        ("q", "w1", "bull:cQ==:w:w1"),
        ("größe", "w1", "bull:Z3LDtsOfZQ==:w:w1"),
        ("a?>", None, "bull:YT8+"),
    ],
)
def test_workers_connections_are_called_as_dashboards_look_for_them(
    queue: str, worker: str | None, name: str
) -> None:
    assert QueueKeys("bull", queue).worker_connection_name(worker) == name


@pytest.mark.parametrize("queue", ["", "a:b", ":", "a\nb", "a\x00", "\x7f", "x" * 201])
def test_queue_names_that_break_keys_are_refused(queue: str) -> None:
    with pytest.raises(ConfigError, match="queue name"):
        QueueKeys("bull", queue)


@pytest.mark.parametrize("queue", ["q", "a b", "größe", "a.b-c_d", "{tag}", "x" * 200])
def test_other_queue_names_are_fine(queue: str) -> None:
    assert QueueKeys("bull", queue).base == f"bull:{queue}:"


@pytest.mark.parametrize("suffix", sorted(key for key in PROPERTIES.values() if ":" not in key))
def test_names_of_the_queues_own_keys_are_no_job_ids(suffix: str) -> None:
    """Such an id would write a job over the queue's own key. No id has a colon."""
    assert suffix in RESERVED_IDS
    assert not is_readable_id(suffix)
    with pytest.raises(ConfigError, match="name of one of the queue's own keys"):
        check_job_id(suffix)


@pytest.mark.parametrize(
    "job_id", ["0", "1", "-5", "123456", "0:x", "a:b", "a:b:c", ":", "", "a\n", "x" * 201]
)
def test_ids_that_bullmq_or_the_keys_cannot_bear_are_refused(job_id: str) -> None:
    with pytest.raises(ConfigError, match="job id"):
        check_job_id(job_id)


@pytest.mark.parametrize("job_id", ["007", "1e3", "-0", "1.5", "my-job", "größe", "a b", "+1"])
def test_other_ids_are_fine(job_id: str) -> None:
    assert check_job_id(job_id) == job_id


@pytest.mark.parametrize(
    ("job_id", "is_readable"),
    [("1", True), ("own", True), ("repeat:s:1", True), ("1:lock", False), ("", False)],
)
def test_ids_of_others_may_be_looked_up_but_not_every_key(job_id: str, is_readable: bool) -> None:
    assert is_readable_id(job_id) is is_readable
