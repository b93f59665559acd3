"""What processes that share a data folder see, whichever of them is killed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from tests.integration.embedded.processes import (
    Program,
    is_running,
    processes_naming,
    servers_of,
)
from tests.support import wait_until_sync

from oxcart.embedded import EmbeddedValkey
from oxcart.embedded._locks import FileLock
from oxcart.embedded._watch import is_settled
from oxcart.errors import StoreUnavailable

NewProgram = Callable[..., Program]


def watchers_of(data_dir: Path) -> list[int]:
    return [pid for pid, command in processes_naming(data_dir).items() if "_watch.py" in command]


def pushed_count(embedded: EmbeddedValkey) -> int:
    with redis.Redis.from_url(embedded.url) as client:
        return int(client.llen("pushed"))


def look(data_dir: Path) -> bool:
    """One look of a watcher whose owner was killed."""
    return is_settled(data_dir / "valkey")


def test_two_processes_share_one_server(data_dir: Path, new_program: NewProgram) -> None:
    first, second = new_program().ask("start"), new_program().ask("start")

    assert first["is_owner"]
    assert not second["is_owner"]
    assert (first["pid"], first["url"]) == (second["pid"], second["url"])
    assert [first["pid"]] == servers_of(data_dir)


def test_five_processes_that_start_at_once_get_one_server(
    data_dir: Path, new_program: NewProgram
) -> None:
    programs = [new_program() for _ in range(5)]
    for program in programs:
        program.ask("be_ready")
    for program in programs:
        program.tell("start")

    seen = [program.hear() for program in programs]

    assert sum(one["is_owner"] for one in seen) == 1
    assert len({one["pid"] for one in seen}) == 1
    assert [seen[0]["pid"]] == servers_of(data_dir)
    for program in programs:
        program.leave()
    wait_until_sync(lambda: not watchers_of(data_dir), what="the watchers see that it ended")


def test_server_of_a_killed_owner_is_adopted_with_its_data(
    data_dir: Path, new_program: NewProgram
) -> None:
    owner = new_program()
    before = owner.ask("start")
    owner.ask("push", 500)

    owner.kill()

    with EmbeddedValkey(data_dir) as embedded:
        assert embedded.is_owner
        assert (before["pid"], before["url"]) == (embedded.pid, embedded.url)
        assert pushed_count(embedded) == 500
    assert not is_running(before["pid"])
    for watcher in watchers_of(data_dir):
        os.kill(watcher, signal.SIGKILL)


def test_acknowledged_writes_survive_the_death_of_server_and_owner(
    data_dir: Path, new_program: NewProgram
) -> None:
    owner, writer = new_program(watch_interval_s=0.05), new_program()
    server = owner.ask("start")["pid"]
    writer.ask("start")
    writer.tell("push", 1_000_000)
    with redis.Redis.from_url(owner.ask("start")["url"]) as client:
        wait_until_sync(lambda: client.llen("pushed") > 2_000, what="the writer is under way")

    owner.freeze()
    os.kill(server, signal.SIGKILL)
    owner.kill()

    acknowledged = writer.hear()
    assert acknowledged > 2_000
    writer.leave()
    wait_until_sync(lambda: not watchers_of(data_dir), what="the watcher sees that nothing is left")
    with EmbeddedValkey(data_dir) as embedded:
        # The server may have done one more, whose answer it could not give.
        assert pushed_count(embedded) in {acknowledged, acknowledged + 1}


@pytest.mark.parametrize("ending", ["stop", "leave", "kill"])
def test_server_outlives_its_owner_while_another_process_uses_it(
    data_dir: Path, new_program: NewProgram, ending: str
) -> None:
    owner, joiner, other = (new_program(watch_interval_s=0.5) for _ in range(3))
    before = owner.ask("start")
    joiner.ask("start")
    other.ask("start")
    with redis.Redis.from_url(before["url"]) as client:
        client.set("kept", "yes")

        if ending == "stop":
            owner.ask("stop")
        elif ending == "leave":
            owner.leave()
        else:
            owner.kill()

        # The connection is the one that was opened before.
        assert client.get("kept") == b"yes"
        wait_until_sync(
            lambda: joiner.ask("start")["is_owner"] or other.ask("start")["is_owner"],
            what="one of the others becomes the owner",
        )
        joiner.leave()
        assert client.get("kept") == b"yes"
    assert [before["pid"]] == servers_of(data_dir)

    other.leave()

    assert not is_running(before["pid"])
    wait_until_sync(lambda: not watchers_of(data_dir), what="the watchers see that it ended")


def test_processes_that_leave_at_once_leave_no_server(
    data_dir: Path, new_program: NewProgram
) -> None:
    programs = [new_program() for _ in range(5)]
    for program in programs:
        program.ask("be_ready")
    for _ in range(10):
        for program in programs:
            program.tell("start")
        pid = {program.hear()["pid"] for program in programs}.pop()
        for program in programs:
            program.tell("stop")
        for program in programs:
            program.hear()

        # Not by a watcher, which looks once an hour here.
        assert not is_running(pid)
    wait_until_sync(lambda: not watchers_of(data_dir), what="the watchers see that it ended")


def test_process_that_joins_while_the_owner_ends_has_a_server(
    data_dir: Path, new_program: NewProgram
) -> None:
    one, other = new_program(), new_program()
    one.ask("start")
    other.ask("be_ready")
    for _ in range(20):
        one.tell("stop")
        url = other.ask("start")["url"]
        with redis.Redis.from_url(url) as client:
            one.hear()
            assert client.incr("rounds")
        one, other = other, one
    one.leave()
    wait_until_sync(lambda: not processes_naming(data_dir / "valkey"), what="all have ended")


def test_server_that_dies_after_its_owner_left_is_restarted(
    data_dir: Path, new_program: NewProgram
) -> None:
    owner, joiner = new_program(watch_interval_s=0.5), new_program()
    before = owner.ask("start")
    joiner.ask("start")
    joiner.ask("push", 100)
    owner.ask("stop")

    os.kill(before["pid"], signal.SIGKILL)

    after = joiner.ask("ensure")
    assert after["is_owner"]
    assert before["pid"] != after["pid"]
    assert (before["url"], before["port_url"]) == (after["url"], after["port_url"])
    with redis.Redis.from_url(after["url"]) as client:
        assert client.llen("pushed") == 100
    joiner.leave()
    wait_until_sync(lambda: not watchers_of(data_dir), what="the watchers see that it ended")


def test_killed_joiner_of_an_owner_that_left_leaves_no_server(
    data_dir: Path, new_program: NewProgram
) -> None:
    owner, joiner = new_program(watch_interval_s=0.05), new_program(watch_interval_s=0.05)
    owner.ask("start")
    joiner.ask("start")
    owner.ask("stop")

    joiner.kill()

    wait_until_sync(
        lambda: not servers_of(data_dir) and not watchers_of(data_dir),
        what="server and watchers are gone",
    )


def test_idle_owner_restarts_a_killed_server_for_the_others(
    data_dir: Path, new_program: NewProgram
) -> None:
    owner, joiner = new_program(), new_program()
    before = owner.ask("start")
    joiner.ask("start")
    joiner.ask("push", 100)

    os.kill(before["pid"], signal.SIGKILL)

    after = joiner.ask("ensure")
    assert before["pid"] != after["pid"]
    assert before["url"] == after["url"]
    assert not after["is_owner"]
    with redis.Redis.from_url(after["url"]) as client:
        assert client.llen("pushed") == 100
    joiner.leave()


def test_adopted_server_that_is_killed_is_restarted(
    data_dir: Path, new_program: NewProgram
) -> None:
    first, second, joiner = new_program(watch_interval_s=0.05), new_program(), new_program()
    first.ask("start")
    joiner.ask("start")
    first.kill()
    adopted = second.ask("start")
    assert adopted["is_owner"]

    os.kill(adopted["pid"], signal.SIGKILL)

    assert adopted["pid"] != joiner.ask("ensure")["pid"]
    assert second.ask("ensure")["is_owner"]
    joiner.leave()


def test_owner_that_cannot_restart_its_server_makes_room_for_others(
    data_dir: Path, new_program: NewProgram
) -> None:
    server = new_program().ask("start")["pid"]
    (manifest,) = (data_dir / "valkey" / "appendonlydir").glob("*.manifest")
    good = manifest.read_bytes()
    manifest.write_bytes(b"garbage")
    os.kill(server, signal.SIGKILL)
    lock = FileLock(data_dir / "valkey" / "owner.lock")
    wait_until_sync(lock.try_acquire, what="the owner gave up")
    lock.release()

    with pytest.raises(StoreUnavailable, match="cannot read its data"):
        EmbeddedValkey(data_dir).start()

    manifest.write_bytes(good)
    with EmbeddedValkey(data_dir) as embedded:
        assert embedded.is_owner


def test_owner_that_lost_its_place_can_join(data_dir: Path, new_program: NewProgram) -> None:
    with EmbeddedValkey(data_dir) as embedded:
        embedded.stop()
        other = new_program().ask("start")

        embedded.start()

        assert not embedded.is_owner
        assert other["pid"] == embedded.pid


def test_server_of_a_killed_owner_ends_by_itself(data_dir: Path, new_program: NewProgram) -> None:
    owner = new_program(watch_interval_s=0.05)
    server = owner.ask("start")["pid"]

    owner.kill()

    wait_until_sync(lambda: not processes_naming(data_dir), what="server and watcher are gone")
    log = (data_dir / "valkey" / "valkey.log").read_text()
    assert f"{server}:M" in log
    assert "ready to exit" in log


def test_watcher_leaves_a_shared_server_alone(data_dir: Path, new_program: NewProgram) -> None:
    owner = new_program()
    server = owner.ask("start")["pid"]
    joiner = EmbeddedValkey(data_dir)
    joiner.start()
    owner.kill()

    assert not look(data_dir)
    assert is_running(server)

    joiner.stop()
    assert look(data_dir)
    assert not is_running(server)
    for watcher in watchers_of(data_dir):
        os.kill(watcher, signal.SIGKILL)


def test_watcher_leaves_an_adopted_server_alone(embedded: EmbeddedValkey, data_dir: Path) -> None:
    assert look(data_dir)

    assert is_running(embedded.pid)


def test_watcher_is_done_when_the_server_is_gone(data_dir: Path) -> None:
    with EmbeddedValkey(data_dir):
        pass

    assert look(data_dir)


def test_watcher_without_the_servers_process_id_kills_nobody(data_dir: Path) -> None:
    with EmbeddedValkey(data_dir):
        pass
    lock = FileLock(data_dir / "valkey" / "server.lock")
    assert lock.try_acquire()

    assert look(data_dir)

    lock.release()


def test_watcher_ends_with_its_owner(data_dir: Path) -> None:
    with EmbeddedValkey(data_dir):
        assert len(watchers_of(data_dir)) == 1

    assert watchers_of(data_dir) == []


def test_server_and_watcher_are_out_of_reach_of_ctrl_c(
    data_dir: Path, new_program: NewProgram
) -> None:
    owner = new_program()
    server = owner.ask("start")["pid"]
    (watcher,) = watchers_of(data_dir)

    # A terminal signals the process group in its foreground, which is of the owner's session.
    assert {server, watcher} == {os.getsid(server), os.getsid(watcher)}
    assert owner.pid == os.getsid(owner.pid)


def test_forked_child_neither_owns_nor_stops_the_server(
    data_dir: Path, new_program: NewProgram
) -> None:
    owner = new_program()
    server = owner.ask("start")["pid"]

    seen = owner.ask("fork_and_exit")

    assert seen == {"exit": 0, "child": {"is_owner": False}}
    assert owner.ask("push", 100) == 100
    assert [server] == servers_of(data_dir)
    assert owner.ask("start")["is_owner"]


def test_forked_child_does_not_keep_the_folder_for_a_killed_owner(
    data_dir: Path, new_program: NewProgram
) -> None:
    owner = new_program(watch_interval_s=0.05)
    owner.ask("start")
    child = owner.ask("fork_and_stay")

    owner.kill()

    try:
        wait_until_sync(
            lambda: not servers_of(data_dir) and not watchers_of(data_dir),
            what="the watcher noticed the end of the owner",
        )
        with EmbeddedValkey(data_dir) as embedded:
            assert embedded.is_owner
    finally:
        os.kill(child, signal.SIGKILL)


def test_record_of_a_dead_server_is_no_server(data_dir: Path, new_program: NewProgram) -> None:
    owner = new_program(watch_interval_s=0.05)
    server = owner.ask("start")["pid"]
    owner.freeze()
    os.kill(server, signal.SIGKILL)
    owner.kill()
    wait_until_sync(lambda: not watchers_of(data_dir), what="the watcher sees that nothing is left")
    record = json.loads((data_dir / "valkey" / "server.json").read_bytes())
    assert server == record["pid"]

    with EmbeddedValkey(data_dir) as embedded:
        assert embedded.is_owner
        assert server != embedded.pid


def test_process_id_that_is_anothers_by_now_is_left_alone(
    data_dir: Path, new_program: NewProgram
) -> None:
    with EmbeddedValkey(data_dir):
        pass
    bystander = new_program()
    path = data_dir / "valkey" / "server.json"
    record = json.loads(path.read_bytes())
    path.write_text(json.dumps({**record, "pid": bystander.pid}))

    with EmbeddedValkey(data_dir) as embedded:
        assert embedded.is_owner
        assert bystander.pid != embedded.pid

    assert is_running(bystander.pid)
