"""Which server, prefix and folder the classes use: their arguments, else the environment.

Each program is a process of its own with an environment of its own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import redis
from tests.integration.cli.programs import environment

ADD_WITH = {
    "App": """
app = oxcart.App({arguments})
app.sync_queue("sums").add("add", {{}})
""",
    "App, with asyncio": """
async def main():
    async with oxcart.App({arguments}) as app:
        await app.queue("sums").add("add", {{}})
asyncio.run(main())
""",
    "Queue": """
async def main():
    async with oxcart.Queue("sums", {arguments}) as queue:
        await queue.add("add", {{}})
asyncio.run(main())
""",
    "sync.Queue": """
with oxcart.sync.Queue("sums", {arguments}) as queue:
    queue.add("add", {{}})
""",
    "FlowProducer": """
async def main():
    async with oxcart.FlowProducer({arguments}) as producer:
        await producer.add(oxcart.FlowNode(name="add", queue="sums"))
asyncio.run(main())
""",
    "sync.FlowProducer": """
with oxcart.sync.FlowProducer({arguments}) as producer:
    producer.add(oxcart.FlowNode(name="add", queue="sums"))
""",
    "QueueEvents": """
async def main():
    events = oxcart.QueueEvents("sums", after="0", {arguments})
    async with oxcart.Queue("sums", {arguments}) as queue:
        await queue.add("add", {{}})
    async with contextlib.aclosing(aiter(events)) as seen:
        assert "added" == (await anext(seen)).name
asyncio.run(main())
""",
    "sync.QueueEvents": """
with oxcart.sync.Queue("sums", {arguments}) as queue:
    queue.add("add", {{}})
assert "added" == next(iter(oxcart.sync.QueueEvents("sums", after="0", {arguments}))).name
""",
    "Worker": """
async def main():
    async def add(job):
        worker.stop()
    worker = oxcart.Worker("sums", add, {arguments})
    async with oxcart.Queue("sums", {arguments}) as queue:
        await queue.add("add", {{}})
    await worker.run()
asyncio.run(main())
""",
}
OPEN = """
kinds = {{
    "App": lambda **given: oxcart.App(**given),
    "Queue": lambda **given: oxcart.Queue("sums", **given),
    "Worker": lambda **given: oxcart.Worker("sums", print, **given),
    "FlowProducer": lambda **given: oxcart.FlowProducer(**given),
    "QueueEvents": lambda **given: oxcart.QueueEvents("sums", **given),
    "sync.Queue": lambda **given: oxcart.sync.Queue("sums", **given),
    "sync.FlowProducer": lambda **given: oxcart.sync.FlowProducer(**given),
    "sync.QueueEvents": lambda **given: oxcart.sync.QueueEvents("sums", **given),
}}
for kind, make in kinds.items():
    try:
        make({arguments})
    except oxcart.errors.ConfigError as error:
        print(kind, error, sep=": ")
    else:
        print(kind, "was made", sep=": ")
"""
KINDS = 8
IMPORTS = "import asyncio, contextlib, oxcart, oxcart.errors, oxcart.sync\n"


def run_program(
    text: str, folder: Path, *, keep_data_dir: bool = False, **variables: str
) -> subprocess.CompletedProcess[str]:
    env = environment(folder, **variables)
    if not keep_data_dir and "OXCART_DATA_DIR" not in variables:
        env.pop("OXCART_DATA_DIR", None)
    return subprocess.run(
        [sys.executable, "-c", IMPORTS + text],
        env=env, cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ADD_WITH)
def test_server_and_prefix_come_from_the_environment(
    kind: str, tmp_path: Path, valkey: redis.Redis, valkey_url: str, prefix: str
) -> None:
    program = ADD_WITH[kind].format(arguments="")

    done = run_program(program, tmp_path, REDIS_URL=valkey_url, OXCART_PREFIX=prefix)

    assert (0, "") == (done.returncode, done.stderr)
    assert 1 == valkey.exists(f"{prefix}:sums:meta")
    assert not (tmp_path / ".oxcart").exists()


@pytest.mark.parametrize("kind", ADD_WITH)
def test_arguments_win_over_the_environment(
    kind: str, tmp_path: Path, valkey: redis.Redis, valkey_url: str, prefix: str
) -> None:
    arguments = f"redis_url={valkey_url!r}, prefix={prefix!r}"
    program = ADD_WITH[kind].format(arguments=arguments)

    done = run_program(
        program,
        tmp_path,
        REDIS_URL="redis://127.0.0.1:1/0",
        OXCART_PREFIX=f"{prefix}-other",
        OXCART_ENV="production",
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert 1 == valkey.exists(f"{prefix}:sums:meta")
    assert 0 == valkey.exists(f"{prefix}-other:sums:meta")


def test_private_valkey_is_in_the_folder_of_the_environment_unless_one_is_given(
    tmp_path: Path,
) -> None:
    program = ADD_WITH["App"]

    done = run_program(program.format(arguments=""), tmp_path, OXCART_DATA_DIR="from_environment")
    given = run_program(
        program.format(arguments="data_dir='given'"), tmp_path, OXCART_DATA_DIR="not_used"
    )
    neither = run_program(program.format(arguments=""), tmp_path)

    assert [0, 0, 0] == [run.returncode for run in (done, given, neither)]
    assert {".oxcart", "from_environment", "given"} == {entry.name for entry in tmp_path.iterdir()}


@pytest.mark.parametrize("variable", ["OXCART_ENV", "NODE_ENV"])
@pytest.mark.parametrize("arguments", ["", "redis_url='', prefix='p', data_dir='d'"])
def test_production_never_starts_the_private_valkey(
    arguments: str, variable: str, tmp_path: Path
) -> None:
    program = OPEN.format(arguments=arguments)
    if variable == "OXCART_ENV":
        done = run_program(program, tmp_path, OXCART_ENV="production")
    else:
        done = run_program(program, tmp_path, NODE_ENV="production")

    told = done.stdout.splitlines()
    assert (0, KINDS) == (done.returncode, len(told))
    for line in told:
        assert ": REDIS_URL is not set, and this is production" in line
        assert "was not started" in line
    assert [] == list(tmp_path.iterdir())


def test_empty_variables_and_an_empty_url_count_as_not_set(tmp_path: Path, valkey_url: str) -> None:
    program = ADD_WITH["App"]

    refused = run_program(
        program.format(arguments=""), tmp_path, OXCART_ENV="production", REDIS_URL=" "
    )
    unset = run_program(
        "print(oxcart.Queue('sums', redis_url='')._keys.prefix)",
        tmp_path,
        REDIS_URL=valkey_url,
        OXCART_ENV="",
        OXCART_PREFIX=" ",
        OXCART_DATA_DIR="",
    )

    assert "REDIS_URL is not set" in refused.stderr
    assert (0, "bull\n", "") == (unset.returncode, unset.stdout, unset.stderr)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://127.0.0.1:6379/zero", "the database 'zero' is no number"),
        ("redis://127.0.0.1:6379/0/1", "the database '0/1' is no number"),
        ("redis://127.0.0.1:6379?db=one", "the database 'one' is no number"),
        ("unix:///run/redis.sock?db=one", "the database 'one' is no number"),
        ("redis://:s3/cret@127.0.0.1:6379/0", "percent-encoded"),
    ],
)
def test_url_whose_database_is_no_number_is_refused(url: str, told: str, tmp_path: Path) -> None:
    from_variable = run_program(OPEN.format(arguments=""), tmp_path, REDIS_URL=url)
    as_argument = run_program(OPEN.format(arguments=f"redis_url={url!r}"), tmp_path)

    for done in (from_variable, as_argument):
        lines = done.stdout.splitlines()
        assert KINDS == len(lines)
        for line in lines:
            assert told in line
            assert "cret" not in line


def test_unknown_environment_is_refused_with_the_names_that_are_known(tmp_path: Path) -> None:
    done = run_program("oxcart.App()", tmp_path, OXCART_ENV="prod")

    assert "OXCART_ENV is 'prod': it must be one of development, production, test" in done.stderr


def test_environment_that_contradicts_node_is_refused(tmp_path: Path) -> None:
    done = run_program("oxcart.App()", tmp_path, OXCART_ENV="development", NODE_ENV="production")

    assert "OXCART_ENV is 'development', but NODE_ENV is 'production'" in done.stderr
    assert [] == list(tmp_path.iterdir())


def test_application_with_jobs_in_sqs_needs_no_redis_in_production(tmp_path: Path) -> None:
    program = """
from oxcart.sqs import SqsBroker
from oxcart.sqs.addresses import parse_addresses
broker = SqsBroker(parse_addresses(["sums=https://sqs.eu-west-1.amazonaws.com/1/sums"], []))
app = oxcart.App(broker=broker)
try:
    asyncio.run(app._store.aclose())
finally:
    print(broker.prefix)
"""
    done = run_program(
        program, tmp_path, OXCART_ENV="production", OXCART_PREFIX="p", AWS_DEFAULT_REGION="x"
    )

    assert (0, "p\n", "") == (done.returncode, done.stdout, done.stderr)
