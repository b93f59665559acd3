"""Ways in which a running server refuses what it is asked, each begun and ended from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from tests.support import ValkeyServer, free_port, wait_until_sync

PASSWORD = "n3w-s3cret"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A way to refuse.

    Attributes:
        during: refuses while its body runs. It is given the server and a client that the server
            lets in whatever it refuses to others.
        reason: what an add says of it, as a pattern.
        needs_cluster: the server is a cluster of one node.
        lets_steps_through: a worker's steps are not refused, as they free memory.
    """

    during: Callable[[ValkeyServer, redis.Redis], AbstractContextManager[None]]
    reason: str
    needs_cluster: bool = False
    lets_steps_through: bool = False


@contextmanager
def other_password(_: ValkeyServer, admin: redis.Redis) -> Iterator[None]:
    admin.config_set("requirepass", PASSWORD)
    drop_connections(admin)
    yield
    admin.config_set("requirepass", "")


@contextmanager
def user_disabled(_: ValkeyServer, admin: redis.Redis) -> Iterator[None]:
    admin.execute_command("ACL", "SETUSER", "default", "off")
    drop_connections(admin)
    yield
    admin.execute_command("ACL", "SETUSER", "default", "on")


@contextmanager
def no_scripts_allowed(_: ValkeyServer, admin: redis.Redis) -> Iterator[None]:
    admin.execute_command("ACL", "SETUSER", "default", "-@scripting")
    yield
    admin.execute_command("ACL", "SETUSER", "default", "+@all")


@contextmanager
def no_writes_allowed(_: ValkeyServer, admin: redis.Redis) -> Iterator[None]:
    admin.execute_command("ACL", "SETUSER", "default", "-@write")
    yield
    admin.execute_command("ACL", "SETUSER", "default", "+@all")


@contextmanager
def too_many_clients(_: ValkeyServer, admin: redis.Redis) -> Iterator[None]:
    admin.config_set("maxclients", 1)  # the administrator is there already
    drop_connections(admin)
    yield
    admin.config_set("maxclients", 1_000)


@contextmanager
def memory_full(_: ValkeyServer, admin: redis.Redis) -> Iterator[None]:
    admin.config_set("maxmemory", 1)
    yield
    admin.config_set("maxmemory", 0)


@contextmanager
def snapshot_failed(server: ValkeyServer, admin: redis.Redis) -> Iterator[None]:
    in_the_way = server.folder / "dump.rdb"
    in_the_way.mkdir()
    admin.config_set("save", "3600 1")
    admin.bgsave()
    wait_until_sync(
        lambda: _persistence(admin)["rdb_last_bgsave_status"] == "err", what="the snapshot to fail"
    )
    yield
    admin.config_set("save", "")


@contextmanager
def a_replica(_: ValkeyServer, admin: redis.Redis) -> Iterator[None]:
    admin.execute_command("REPLICAOF", "127.0.0.1", free_port())
    yield
    admin.execute_command("REPLICAOF", "NO", "ONE")


@contextmanager
def a_replica_without_master(_: ValkeyServer, admin: redis.Redis) -> Iterator[None]:
    admin.config_set("replica-serve-stale-data", "no")
    admin.execute_command("REPLICAOF", "127.0.0.1", free_port())
    yield
    admin.execute_command("REPLICAOF", "NO", "ONE")


@contextmanager
def too_few_replicas(_: ValkeyServer, admin: redis.Redis) -> Iterator[None]:
    admin.config_set("min-replicas-to-write", 1)
    yield
    admin.config_set("min-replicas-to-write", 0)


@contextmanager
def busy_with_a_script(server: ValkeyServer, admin: redis.Redis) -> Iterator[None]:
    admin.config_set("busy-reply-threshold", 50)
    busy = redis.Connection(port=server.port, protocol=2)
    busy.send_command("EVAL", "while true do end", 0)
    yield
    admin.script_kill()
    with pytest.raises(redis.ResponseError, match="killed"):
        busy.read_response()
    busy.disconnect()


@contextmanager
def slot_not_served(_: ValkeyServer, admin: redis.Redis) -> Iterator[None]:
    admin.execute_command("CLUSTER", "DELSLOTS", 1)  # of no key of the test's
    yield
    admin.execute_command("CLUSTER", "ADDSLOTS", 1)


@contextmanager
def loading_its_data(server: ValkeyServer, admin: redis.Redis) -> Iterator[None]:
    for key, value in {
        "key-load-delay": 20_000,
        "loading-process-events-interval-bytes": 1_024,
    }.items():
        admin.config_set(key, value)
    admin.execute_command("DEBUG", "POPULATE", 200, "filler", 2_000)
    loading = redis.Connection(port=server.port, protocol=2)
    loading.send_command("DEBUG", "RELOAD")
    yield
    admin.config_set("key-load-delay", 0)
    loading.read_response()
    loading.disconnect()


REFUSALS: dict[str, Refusal] = {
    "password": Refusal(other_password, "unauthenticated|Authentication required"),
    "disabled": Refusal(user_disabled, "unauthenticated|Authentication required"),
    "acl_scripts": Refusal(no_scripts_allowed, "no permissions|permission"),
    "acl_writes": Refusal(no_writes_allowed, "ACL failure|permission|can't run this command"),
    "maxclients": Refusal(too_many_clients, "max number of clients|cannot be reached"),
    "oom": Refusal(memory_full, "command not allowed when used memory", lets_steps_through=True),
    "misconf": Refusal(snapshot_failed, "MISCONF"),
    "readonly": Refusal(a_replica, "read only replica"),
    "masterdown": Refusal(a_replica_without_master, "Link with MASTER is down"),
    "noreplicas": Refusal(too_few_replicas, "NOREPLICAS"),
    "busy": Refusal(busy_with_a_script, "BUSY"),
    "clusterdown": Refusal(
        slot_not_served, "cluster is down|Hash slot not served", needs_cluster=True
    ),
    "loading": Refusal(loading_its_data, "loading the dataset"),
}


def drop_connections(admin: redis.Redis) -> None:
    """Close everybody else's connections."""
    admin.execute_command("CLIENT", "KILL", "SKIPME", "yes")


def _persistence(admin: redis.Redis) -> Any:
    return admin.info("persistence")
