from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from oxcart._store.location import Location
from oxcart._store.slots import check_slots, hash_tag
from oxcart._wire.keys import QueueKeys
from oxcart.errors import ConfigError

CLUSTER = Location.at("redis+cluster://host")


@given(st.text(alphabet="{}ab:", max_size=12), st.text(alphabet="{}xy", max_size=6))
def test_keys_with_a_tag_share_its_slot(base: str, suffix: str) -> None:
    """The client's own hashing is the judge of what a tag is."""
    tag = hash_tag(base)

    if tag is not None:
        assert key_slot(tag.encode()) == key_slot((base + suffix).encode())


def test_a_base_without_a_tag_spreads_its_keys() -> None:
    for base in ("bull:q:", "{}bull:q:", "{bull:q:", "bull}{:q:", "}bull:q:"):
        assert hash_tag(base) is None


@pytest.mark.parametrize(("prefix", "queue"), [("{bull}", "q"), ("bull", "{q}"), ("a{b}c:d", "q")])
def test_a_tag_in_the_prefix_or_the_name_is_enough(prefix: str, queue: str) -> None:
    check_slots(CLUSTER, QueueKeys(prefix, queue))


@pytest.mark.parametrize("prefix", ["bull", "{}bull", "{bull"])
def test_a_queue_without_one_is_told_what_to_write(prefix: str) -> None:
    with pytest.raises(ConfigError, match=r"as prefix='{bull}', or in the queue's name, as '{q}'"):
        check_slots(CLUSTER, QueueKeys(prefix, "q"))


def test_a_flows_queues_need_one_tag() -> None:
    check_slots(CLUSTER, QueueKeys("{bull}", "a"), QueueKeys("{bull}", "b"))

    with pytest.raises(ConfigError, match=r"as prefix='{bull}'"):
        check_slots(CLUSTER, QueueKeys("bull", "{a}"), QueueKeys("bull", "{b}"))


@pytest.mark.parametrize("url", ["redis://host", "unix:///s", "redis+sentinel://host/main"])
def test_one_server_takes_any_name(url: str) -> None:
    check_slots(Location.at(url), QueueKeys("bull", "a"), QueueKeys("other", "b"))


def test_a_server_that_is_not_started_yet_takes_any_name() -> None:
    check_slots(Location(lambda: "redis://host"), QueueKeys("bull", "a"))
