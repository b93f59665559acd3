from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from oxcart._store.call import script_call
from oxcart._wire import scripts
from oxcart._wire.scripts import Script
from oxcart.errors import WireError

FOLDER = Path(str(files("oxcart._wire"))) / "lua"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.lua"))
LIBRARIES = sorted(path.stem for path in (FOLDER / "lib").glob("*.lua"))
Load = Callable[[str], Script]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load a script from its text; the fragment ``lib/two`` is there too."""

    def load_text(text: str) -> Script:
        sources = {"made_up": text, "lib/two": "local two = 2\n"}
        monkeypatch.setattr(scripts, "_read", sources.__getitem__)
        return scripts.load.__wrapped__("made_up")

    return load_text


def test_bindings_are_read_and_the_fragments_joined(load: Load) -> None:
    script = load(
        "-- Says two.\n"
        "local a_key = KEYS[1] -- a\n"
        "local b_key = KEYS[2] -- b\n"
        "local count = ARGV[1] -- how many\n"
        "local argv = ARGV -- from 2 on: ids\n"
        '\n--- @include "lib/two"\n\n'
        "return two\n"
    )

    assert script.key_names == ("a_key", "b_key")
    assert script.key_count == 2
    assert script.arg_names == ("count",)
    assert "local two = 2\n" in script.text
    assert "@include" not in script.text
    assert re.fullmatch("[0-9a-f]{40}", script.sha)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("local a = KEYS[2]\n", "binds KEYS with holes"),
        ("local a = KEYS[1]\nlocal b = KEYS[3]\n", "binds KEYS with holes"),
        ("local a = KEYS[2]\nlocal b = KEYS[1]\n", "out of order"),
        ("local a = KEYS[1]\nlocal b = KEYS[1]\n", "out of order"),
        ("local a = ARGV[0]\n", "binds ARGV with holes"),
        ("local a = KEYS[1]\nreturn ARGV[1]\n", "outside its bindings"),
        ("local a = KEYS[1]\nreturn KEYS[1]\n", "outside its bindings"),
        ("local a = KEYS[1]\nreturn #KEYS\n", "outside its bindings"),
        ("local args = ARGV\n", "outside its bindings"),
        ("for _, id in ipairs(ARGV) do end\n", "outside its bindings"),
    ],
)
def test_loose_bindings_are_refused(load: Load, text: str, problem: str) -> None:
    with pytest.raises(WireError, match=problem):
        load(text)


def test_comments_may_speak_of_the_arguments(load: Load) -> None:
    assert load("-- KEYS and ARGV\nreturn 1 -- not ARGV[1]\n").key_count == 0


def test_same_text_is_known_by_the_same_sha(load: Load) -> None:
    assert load("return 1\n").sha == load("return 1\n").sha != load("return 2\n").sha


@pytest.mark.parametrize("key_count", [0, 1, 3])
def test_call_with_the_wrong_number_of_keys_is_refused(key_count: int) -> None:
    keys = tuple(f"k{number}" for number in range(key_count))

    with pytest.raises(AssertionError, match="script add_log takes"):
        script_call("add_log", keys, ("row", ""), int)


def test_call_with_too_few_arguments_is_refused() -> None:
    with pytest.raises(AssertionError, match="script add_log takes"):
        script_call("add_log", ("job", "logs"), ("row",), int)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_loads(name: str) -> None:
    script = scripts.load(name)

    assert script is scripts.load(name)
    assert "@include" not in script.text


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_uses_everything_that_it_binds(name: str) -> None:
    script = scripts.load(name)
    code = "".join(code_of(script.text))

    unused = [
        word
        for word in (*script.key_names, *script.arg_names)
        if len(re.findall(rf"\b{word}\b", code)) < 2
    ]
    assert unused == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_fragments_are_included_after_those_that_they_need(name: str) -> None:
    included = re.findall(r'^--- @include "(lib/\w+)"$', source_of(name), re.MULTILINE)

    for place, fragment in enumerate(included):
        needed = set(needs_of(fragment))
        assert needed <= set(included[:place]), f"{fragment} needs {needed}"


@pytest.mark.parametrize("name", LIBRARIES)
def test_every_fragment_is_used_and_includes_none_itself(name: str) -> None:
    assert any(f'"lib/{name}"' in source_of(script) for script in SCRIPTS)
    assert "@include" not in source_of(f"lib/{name}")


@pytest.mark.parametrize(
    ("name", "most"),
    [*((name, 90) for name in SCRIPTS), *((f"lib/{name}", 100) for name in LIBRARIES)],
)
def test_script_is_short_and_says_what_it_does(name: str, most: int) -> None:
    lines = source_of(name).splitlines()

    assert len(lines) <= most
    assert lines[0].startswith("-- ")
    assert all(len(line) <= 110 for line in lines)


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_looks_at_no_other_clock_and_scans_no_keys(name: str) -> None:
    """Time comes from ``lib/clock`` alone, and no command goes over the whole server.

    But for looking for stray jobs, which nothing else can find, a part a call.
    """
    text = scripts.load(name).text

    commands = set(re.findall(r"redis\.p?call\('(\w+)'", text))
    is_scan = name in ("remove_stray_jobs", "remove_private_keys")
    scans = {"SCAN"} if is_scan else set()
    assert commands & {"KEYS", "SCAN", "FLUSHDB", "EVAL", "RANDOMKEY"} == scans
    assert ("TIME" in commands) == ("lib/clock" in source_of(name))


def source_of(name: str) -> str:
    return (FOLDER / f"{name}.lua").read_text(encoding="utf-8")


def code_of(text: str) -> Iterator[str]:
    """The lines without their comments."""
    for line in text.splitlines(keepends=True):
        yield line.split("--", 1)[0] + "\n"


def needs_of(fragment: str) -> list[str]:
    """The fragments that a fragment's head says it needs."""
    head = source_of(fragment).split("\nlocal ", 1)[0]
    _, _, needs = head.partition("Needs ")
    return re.findall(r"lib/\w+", needs)
