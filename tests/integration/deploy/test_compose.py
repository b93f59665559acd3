"""``deploy/compose.yaml``: it is what Compose reads, and every variable it sets is a setting."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.integration.deploy.dockerfile import ROOT

from oxcart._settings.checks import PROGRAMS as NEEDS
from oxcart._settings.checks import examine
from oxcart.settings import ENVIRONMENT, Settings

COMPOSE = ROOT / "deploy" / "compose.yaml"
SECRETS = {
    "POSTGRES_PASSWORD": "postgres-password",
    "VALKEY_PASSWORD": "valkey-password",
    "OXCART_SIGNING_SECRET": "a-secret-that-nobody-guesses-0123",
    "OXCART_OPERATOR_KEYS": "operator-key-7f3K9xQ2mZ8vR4tB6nW1",
}
OURS = ("migrate", "api", "worker")
_VARIABLE = re.compile(r"\$\{(\w+)(?::([?-])([^}]*))?\}")


def read(variables: dict[str, str]) -> dict[str, Any]:
    """Read the file as Compose does: variables are put in, missing ones refused or defaulted."""

    def value(match: re.Match[str]) -> str:
        name, kind, text = match.groups()
        if variables.get(name):
            return variables[name]
        if kind == "-":
            return str(text)
        raise KeyError(name)

    def put_in(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: put_in(child) for key, child in node.items()}
        if isinstance(node, list):
            return [put_in(child) for child in node]
        return _VARIABLE.sub(value, node) if isinstance(node, str) else node

    document: dict[str, Any] = put_in(yaml.safe_load(COMPOSE.read_text(encoding="utf-8")))
    return document


@pytest.fixture
def services() -> dict[str, Any]:
    found: dict[str, Any] = read(SECRETS)["services"]
    return found


def test_file_is_what_the_compose_specification_says() -> None:
    program = str(Path(sys.executable).with_name("check-jsonschema"))
    command = [program, "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", SECRETS)
def test_every_secret_must_be_given(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        read({key: value for key, value in SECRETS.items() if key != name})


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting_and_none_that_production_needs_is_missing(
    services: dict[str, Any], name: str
) -> None:
    environment = services[name]["environment"]
    known = {variable for names in ENVIRONMENT.values() for variable in names}

    assert environment.keys() <= known
    findings = examine(NEEDS[name], environment)
    assert () == findings.problems
    assert findings.settings.is_production


def test_parts_are_all_there_and_start_after_what_they_need(services: dict[str, Any]) -> None:
    assert {*OURS, "valkey", "postgres", "mailpit"} == services.keys()
    assert ["migrate"] == services["migrate"]["command"]
    for name in ("api", "worker"):
        assert [name] == services[name]["command"]
        conditions = {
            other: how["condition"] for other, how in services[name]["depends_on"].items()
        }
        assert {
            "migrate": "service_completed_successfully",
            "valkey": "service_healthy",
        } == conditions
    assert "service_healthy" == services["migrate"]["depends_on"]["postgres"]["condition"]


@pytest.mark.parametrize("name", OURS)
def test_containers_may_write_nothing_but_their_volume_and_may_finish_their_jobs(
    services: dict[str, Any], name: str
) -> None:
    service = services[name]
    grace_s = Settings.from_env(service["environment"]).grace_seconds

    assert service["read_only"] is True
    assert ["/tmp"] == service["tmpfs"]  # noqa: S108  # in the container
    assert ["ALL"] == service["cap_drop"]
    assert ["no-new-privileges:true"] == service["security_opt"]
    assert int(service["stop_grace_period"].removesuffix("s")) >= grace_s + 10


def test_valkey_keeps_an_append_only_file_in_a_volume_and_drops_nothing(
    services: dict[str, Any],
) -> None:
    words = services["valkey"]["command"]
    options = dict(zip(words[1::2], words[2::2], strict=True))

    assert "yes" == options["--appendonly"]
    assert "noeviction" == options["--maxmemory-policy"]
    assert ["valkey:/data"] == services["valkey"]["volumes"]


def test_nothing_is_reachable_from_other_machines(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
