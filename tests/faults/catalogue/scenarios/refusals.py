"""The server refuses: memory, writes, logins, and keys of a wrong type or deleted."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import redis
from tests.faults.catalogue.checks import Allowed
from tests.faults.catalogue.registry import scenario
from tests.faults.catalogue.scenarios.server import during_load
from tests.faults.catalogue.trial import Trial
from tests.support import ValkeyServer

GROUP = "Refusals of the server"
PASSWORD = "of-the-trial"
AGAIN_S = 5
"""How soon work goes on after the refusal has ended."""
BUSY_S = 9


def refuse_during_runs(
    trial: Trial,
    refuse: Callable[[], object],
    relent: Callable[[], object],
    *,
    seconds: float,
    limit: float = AGAIN_S,
    is_once: bool = True,
) -> None:
    """Refuse while jobs end and others are added, then relent and wait until all are settled."""
    trial.worker()
    producer = trial.producer(rate=50, own_ids=True)
    trial.add("work", count=4, ms=3_000)
    trial.wait_for_starts(20)
    refuse()
    time.sleep(seconds)
    relent()
    trial.at_most("next_job_s", trial.next_job(), limit)
    producer.signal(15)
    producer.wait()
    trial.figures["settled_s"] = round(trial.settle(), 1)
    trial.check()
    if is_once:
        trial.expect(not trial.figures["started_twice"], "a job started twice")


def admin(trial: Trial) -> redis.Redis:
    """A second client, with a connection that stays logged in."""
    client = redis.Redis.from_url(trial.server.url, single_connection_client=True)
    client.ping()
    return client


@scenario(
    "rude_auth",
    group=GROUP,
    fault="the server's password is changed for 10 s and every connection is closed",
    promise="the next job within 5 s of the end, no job starts twice",
    short={"seconds": 3},
)
def rude_auth(trial: Trial, *, seconds: float = 10) -> None:
    client = admin(trial)

    def refuse() -> None:
        client.config_set("requirepass", PASSWORD)
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    refuse_during_runs(trial, refuse, lambda: client.config_set("requirepass", ""), seconds=seconds)


@scenario(
    "rude_acl",
    group=GROUP,
    fault="the user of every client may not write for 10 s (NOPERM)",
    promise="the next job within 5 s of the end, no job starts twice",
    short={"seconds": 3},
)
def rude_acl(trial: Trial, *, seconds: float = 10) -> None:
    trial.client.execute_command("ACL", "SETUSER", "admin", "on", "nopass", "~*", "&*", "+@all")
    client = redis.Redis.from_url(
        trial.server.url, username="admin", password="x", single_connection_client=True
    )
    refuse_during_runs(
        trial,
        lambda: client.execute_command("ACL", "SETUSER", "default", "-@write", "-@scripting"),
        lambda: client.execute_command("ACL", "SETUSER", "default", "+@all"),
        seconds=seconds,
    )


@scenario(
    "rude_maxclients",
    group=GROUP,
    fault="others take every connection of the server for 10 s",
    promise="the next job within 5 s of the end, no job starts twice",
    short={"seconds": 3},
)
def rude_maxclients(trial: Trial, *, seconds: float = 10) -> None:
    client = admin(trial)
    taken: list[redis.Connection] = []
    places = 40

    def refuse() -> None:
        client.config_set("maxclients", places)
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        until = time.monotonic() + 2
        while time.monotonic() < until and len(taken) < places:
            connection = redis.Connection(port=trial.server.port)
            with suppress(redis.RedisError):
                connection.connect()
                taken.append(connection)

    def relent() -> None:
        for connection in taken:
            connection.disconnect()
        client.config_set("maxclients", 10_000)

    refuse_during_runs(trial, refuse, relent, seconds=seconds)
    trial.figures["places_taken"] = len(taken)


@scenario(
    "readonly",
    group=GROUP,
    fault="the server is demoted to a replica for 8 s, twice (READONLY)",
    promise="the next job within 5 s of the end, no job starts twice",
    short={"rounds": 1, "seconds": 3},
)
def readonly(trial: Trial, *, rounds: int = 2, seconds: float = 8) -> None:
    master = ValkeyServer()
    client = admin(trial)

    def refuse() -> None:
        # Of a master that does not answer, so that nothing is copied from it.
        client.execute_command("REPLICAOF", "127.0.0.1", master.port)

    try:
        for number in range(rounds - 1):
            del number
            trial.add("work", count=4, ms=3_000)
            refuse()
            time.sleep(seconds)
            client.execute_command("REPLICAOF", "NO", "ONE")
        refuse_during_runs(
            trial, refuse, lambda: client.execute_command("REPLICAOF", "NO", "ONE"), seconds=seconds
        )
    finally:
        master.remove()


@scenario(
    "misconf",
    group=GROUP,
    fault="the server cannot write its snapshot and refuses writes for 10 s (MISCONF)",
    promise="the next job within 5 s of the end, no job starts twice",
    options={
        "server": partial(ValkeyServer, options=("--enable-protected-configs", "yes")),
    },
)
def misconf(trial: Trial, *, seconds: float = 10) -> None:
    client = admin(trial)

    def refuse() -> None:
        # A folder in the place of the file makes the snapshot fail, for root too.
        (trial.server.folder / "no.rdb").mkdir()
        (trial.server.folder / "no.rdb" / "full").touch()
        client.config_set("dbfilename", "no.rdb")
        client.config_set("save", "3600 1")
        client.bgsave()
        trial.wait_until(
            lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err",
            what="a snapshot to fail",
        )

    def relent() -> None:
        client.config_set("save", "")
        client.config_set("stop-writes-on-bgsave-error", "no")

    refuse_during_runs(trial, refuse, relent, seconds=seconds)


@scenario(
    "busy",
    group=GROUP,
    fault="another client's scripts run for 9 s each, 3 of them (BUSY)",
    promise="the next job within 5 s of the end",
)
def busy(trial: Trial, *, scripts: int = 3) -> None:
    trial.client.config_set("busy-reply-threshold", 500)
    text = (
        "local function now() local t = redis.call('TIME') return t[1] + t[2] / 1000000 end "
        "local until_s = now() + tonumber(ARGV[1]) while now() < until_s do end return 1"
    )
    client = redis.Redis.from_url(trial.server.url, socket_timeout=60)

    def run_scripts() -> None:
        for _ in range(scripts):
            with suppress(redis.ResponseError):
                client.eval(text, 0, BUSY_S)

    refuse_during_runs(trial, run_scripts, lambda: None, seconds=0, is_once=False)


@scenario(
    "type_replaced",
    group=GROUP,
    fault="the active list is replaced by a string for 10 s, then put back",
    promise="the next job within 10 s of the end",
)
def type_replaced(trial: Trial, *, seconds: float = 10) -> None:
    key, kept = f"{trial.prefix}:q:active", "kept-by-the-scenario"

    def refuse() -> None:
        trial.client.eval(
            "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('RENAME', KEYS[1], KEYS[2]) end"
            " redis.call('SET', KEYS[1], 'a string')",
            2,
            key,
            kept,
        )

    def relent() -> None:
        trial.client.eval(
            "redis.call('DEL', KEYS[1]) if redis.call('EXISTS', KEYS[2]) == 1 then"
            " redis.call('RENAME', KEYS[2], KEYS[1]) end",
            2,
            key,
            kept,
        )

    # What ended meanwhile could not be written and runs again when its lock has run out.
    refuse_during_runs(trial, refuse, relent, seconds=seconds, limit=10, is_once=False)


def _keys_deleted(name: str, fault: str, promise: str, *, suffixes: tuple[str, ...]) -> None:
    @scenario(
        f"keys_deleted_{name}",
        group=GROUP,
        fault=fault,
        promise=promise,
        options={"seconds": 20, "every": 1 if name == "small" else 5},
        short={"seconds": 4} if name == "small" else None,
    )
    def body(trial: Trial, *, seconds: float, every: float) -> None:
        if name == "active":
            trial.allowed = Allowed(lost="the scenario deletes the list of running jobs")

        def delete() -> None:
            pattern_keys = [
                key
                for suffix in suffixes
                for key in trial.client.scan_iter(f"{trial.prefix}:q:{suffix}", count=1_000)
            ]
            if pattern_keys:
                trial.client.delete(*pattern_keys)

        during_load(trial, delete, seconds=seconds, every=every, rate=50, ms=500)
        if name == "active":
            trial.figures["stray"] = len(trial.queue.remove_stray_jobs())


_keys_deleted(
    "active",
    "the list of running jobs is deleted each 5 s",
    "every other job completes; remove_stray_jobs removes the rest",
    suffixes=("active",),
)
_keys_deleted(
    "locks",
    "every lock is deleted each 5 s",
    "every job completes",
    suffixes=("*:lock",),
)
_keys_deleted(
    "small",
    "meta, marker, stalled and events are deleted each second",
    "every job completes",
    suffixes=("meta", "marker", "stalled", "events"),
)
_keys_deleted(
    "steps",
    "the memory of steps is deleted each 5 s",
    "every job completes",
    suffixes=("oxcart:*",),
)
