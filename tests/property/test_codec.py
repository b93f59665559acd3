"""Whatever is written is read again as it was; whatever anybody wrote is read without an error."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxcart import Backoff, JobOptions, JobSpec, Retention
from oxcart._model.clock import epoch_ms
from oxcart._model.ids import RESERVED_IDS, check_job_id
from oxcart._store.calls.adding import encode_job
from oxcart._wire import fields
from oxcart._wire.codec import (
    decode_json,
    decode_json_or_text,
    encode_json,
    encode_stacktrace,
    read_job,
)
from oxcart._wire.events import read_event
from oxcart._wire.options_codec import decode_options, encode_options
from oxcart.errors import ConfigError, PayloadError

texts = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)
any_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
retentions = st.builds(
    Retention,
    count=st.none() | st.integers(0, 2**53),
    age=st.none() | st.integers(1, 10**9).map(lambda seconds: timedelta(seconds=seconds)),
)
backoffs = st.builds(
    Backoff,
    kind=st.sampled_from(["fixed", "exponential"]),
    delay_ms=st.integers(0, 2**53),
    jitter=st.floats(0, 1),
)
limits = st.none() | st.integers(0, 2**53)
options = st.builds(
    JobOptions,
    priority=st.integers(0, 2_097_151),
    lifo=st.booleans(),
    attempts=st.integers(0, 2**31),
    backoff=st.none() | backoffs,
    keep_completed=st.none() | retentions,
    keep_failed=st.none() | retentions,
    stacktrace_limit=limits,
    size_limit=limits,
    log_limit=limits,
)
raw_fields = st.sampled_from(
    [value for name, value in vars(fields).items() if name.isupper()]
) | st.binary(max_size=8)
raw_values = (
    st.binary()
    | st.sampled_from([b"nan", b"-1", b"1e999", b"null", b"{}", b"[]", b"[" * 2_000, b"\xff"])
    | json_values.map(lambda value: json.dumps(value).encode())
)


@given(json_values)
def test_json_is_read_as_it_was_written(value: Any) -> None:
    assert decode_json(encode_json(value, what="x"), what="x") == value


@given(json_values)
def test_pythons_own_reader_reads_the_same(value: Any) -> None:
    """So does JavaScript's: the text is standard JSON."""
    assert json.loads(encode_json(value, what="x")) == value


@given(any_values)
def test_value_is_written_faithfully_or_refused(value: Any) -> None:
    try:
        text = encode_json(value, what="x")
    except PayloadError:
        return

    assert decode_json(text, what="x") == value


@given(st.binary())
def test_any_bytes_are_json_or_refused(text: bytes) -> None:
    try:
        value = decode_json(text, what="x")
    except PayloadError:
        assert decode_json_or_text(text) == text.decode(errors="replace")
    else:
        assert encode_json(value, what="x")


@given(options)
def test_options_come_back_from_the_wire(given_options: JobOptions) -> None:
    found, problem = decode_options(encode_options(given_options, prefix="bull"))

    assert problem is None
    assert decode_options(encode_options(found, prefix="bull")) == (found, None)
    plain = (
        "priority",
        "lifo",
        "attempts",
        "backoff",
        "stacktrace_limit",
        "size_limit",
        "log_limit",
    )
    assert all(getattr(found, name) == getattr(given_options, name) for name in plain)
    for name in ("keep_completed", "keep_failed"):
        assert meaning_of(getattr(found, name)) == meaning_of(getattr(given_options, name))


@given(options)
def test_options_are_an_object_without_nulls_that_always_has_attempts(
    given_options: JobOptions,
) -> None:
    wire = json.loads(encode_options(given_options, prefix="bull"))

    assert isinstance(wire["attempts"], int)
    assert None not in wire.values()


@given(raw_values | st.binary())
def test_any_text_is_read_as_options(text: bytes) -> None:
    found, problem = decode_options(text)

    assert isinstance(found, JobOptions)
    assert problem is None or problem.startswith("the job's opts")


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            [
                "attempts", "priority", "lifo", "backoff", "removeOnComplete", "removeOnFail",
                "stackTraceLimit", "sizeLimit", "kl", "delay", "jobId",
            ],
            any_values
            | st.fixed_dictionaries(
                {},
                optional={
                    "type": st.sampled_from(["fixed", "exponential", "x"]) | any_values,
                    "delay": any_values,
                    "jitter": any_values,
                    "age": any_values,
                    "count": any_values,
                },
            ),
        ),
    )
)  # fmt: skip
def test_any_object_is_read_as_options(wire: dict[str, Any]) -> None:
    found, _ = decode_options(json.dumps(wire).encode())

    # What was read can be used: sizes that the server takes, and durations that can be counted.
    for keep in (found.keep_completed, found.keep_failed):
        assert keep is None or keep.age_seconds is None or 1 <= keep.age_seconds <= 2**53
    assert 0 <= found.attempts <= 2**31


@given(st.dictionaries(raw_fields, raw_values, max_size=12))
def test_any_hash_is_read_as_a_job(raw: dict[bytes, bytes]) -> None:
    record = read_job("1", raw)

    assert record.id == "1"
    assert record.corruption is None or isinstance(record.corruption, str)
    assert all(isinstance(trace, str) for trace in record.stacktrace)


@given(
    st.dictionaries(
        st.sampled_from([b"event", b"jobId", b"delay", b"data"]) | st.binary(), raw_values
    )
)
def test_any_entry_is_read_as_an_event(raw: dict[bytes, bytes]) -> None:
    assert read_event(b"1-0", raw).id == "1-0"


@given(st.lists(texts, max_size=5), texts, st.none() | st.integers(0, 7))
def test_stacktraces_come_back(earlier: list[str], trace: str, limit: int | None) -> None:
    record = read_job("1", {b"stacktrace": encode_stacktrace(tuple(earlier), trace, limit)})

    kept = [*earlier, trace]
    first = 0 if limit is None else max(0, len(kept) - limit)
    assert list(record.stacktrace) == kept[first:]


@given(st.text(), any_values, st.none() | st.text())
def test_job_is_encoded_or_refused_with_an_error_of_ours(
    name: str, data: Any, job_id: str | None
) -> None:
    try:
        spec = JobSpec(name=name, data=data, options=JobOptions(job_id=job_id))
        words = encode_job(spec, prefix="bull")
    except (PayloadError, ConfigError):
        return

    assert words[1] == name.encode()
    assert words[0] == (job_id or "").encode()


@given(st.text())
def test_an_accepted_id_is_no_key_of_the_queue(job_id: str) -> None:
    try:
        check_job_id(job_id)
    except ConfigError:
        return

    assert ":" not in job_id
    assert job_id not in RESERVED_IDS
    assert not re.fullmatch(r"0|-?[1-9][0-9]*", job_id)


@given(st.integers(0, 4 * 10**12))
def test_instants_come_back_to_the_millisecond(ms: int) -> None:
    assert epoch_ms(datetime.fromtimestamp(ms / 1_000, UTC)) == ms


@pytest.mark.parametrize("name", ["a", "b"])
@given(value=json_values)
def test_size_limit_counts_the_bytes_that_are_stored(name: str, value: Any) -> None:
    size = len(encode_json(value, what="x"))
    fits = JobSpec(name=name, data=value, options=JobOptions(size_limit=size))
    too_long = JobSpec(name=name, data=value, options=JobOptions(size_limit=size - 1))

    assert len(encode_job(fits, prefix="bull")) == len(
        encode_job(JobSpec(name=name), prefix="bull")
    )
    with pytest.raises(PayloadError, match="over its size limit"):
        encode_job(too_long, prefix="bull")


def meaning_of(keep: Retention | None) -> object:
    """What a retention keeps: nothing at all whatever its age, or so many for so long."""
    if keep is None or keep.count == 0:
        return keep and 0
    return keep.count, keep.age_seconds
