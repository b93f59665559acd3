"""The manifests: rendered by kubectl, valid by the cluster's schemas, true to the settings."""

from __future__ import annotations

import base64
import functools
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import redis
import yaml
from tests.integration.deploy.dockerfile import ROOT
from tests.integration.http.running import make_settings

from oxcart._model.json import JsonValue
from oxcart._settings.checks import PROGRAMS as NEEDS
from oxcart._settings.checks import examine
from oxcart.settings import ENVIRONMENT, Settings
from oxcart.system import open_system

MANIFESTS = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("development", "production")
VERSIONS = ("1.31", "1.37")
"""The oldest and the newest Kubernetes whose schemas are held."""
KNOWN = {name for names in ENVIRONMENT.values() for name in names}
PROGRAMS = ("api", "worker", "migrate")
EXAMPLE = MANIFESTS / "overlays/production/secret.example.yaml"
FILLED = {
    "OXCART_SIGNING_SECRET": "a-secret-that-nobody-guesses-0123",
    "OXCART_OPERATOR_KEYS": "operator-key-7f3K9xQ2mZ8vR4tB6nW1",
}
"""What the reader puts into the example."""

Document = dict[str, Any]


@functools.cache
def rendered(folder: Path) -> tuple[Document, ...]:
    """All documents of an overlay, as ``kubectl apply --kustomize`` would send them."""
    kubectl = Path(sys.executable).with_name("kubectl")
    done = subprocess.run(
        [kubectl, "kustomize", folder], capture_output=True, text=True, check=False, timeout=60
    )
    assert 0 == done.returncode, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def overlay(name: str) -> tuple[Document, ...]:
    """The documents of an overlay, and of production the Secret that is made by hand."""
    documents = rendered(MANIFESTS / "overlays" / name)
    if name != "production":
        return documents
    secret = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    filled = {name: FILLED.get(name, value) for name, value in secret["stringData"].items()}
    return (*documents, secret | {"stringData": filled})


def one(documents: tuple[Document, ...], kind: str, name: str) -> Document:
    """The document of a kind whose name is, or begins with, a name."""
    found = [
        document
        for document in documents
        if document["kind"] == kind and document["metadata"]["name"].startswith(name)
    ]
    assert 1 == len(found), (kind, name)
    return found[0]


def pod(documents: tuple[Document, ...], program: str) -> Document:
    """The pod that runs a program."""
    kind = "Job" if program == "migrate" else "Deployment"
    spec: Document = one(documents, kind, f"oxcart-{program}")["spec"]["template"]["spec"]
    return spec


def environment(documents: tuple[Document, ...], program: str) -> dict[str, str]:
    """What a program's container finds in its environment, from whatever it takes it."""
    container = pod(documents, program)["containers"][0]
    assert not container.get("env")
    found: dict[str, str] = {}
    for source in container["envFrom"]:
        (reference,) = source.values()
        kind = "Secret" if "secretRef" in source else "ConfigMap"
        document = one(documents, kind, reference["name"])
        assert reference["name"] == document["metadata"]["name"]
        data: dict[str, str] = document.get("data", {})
        if kind == "Secret":
            data = {name: base64.b64decode(value).decode() for name, value in data.items()}
        found |= data | document.get("stringData", {})
    return found


@pytest.fixture(params=OVERLAYS)
def documents(request: pytest.FixtureRequest) -> tuple[Document, ...]:
    return overlay(request.param)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_what_the_cluster_takes(
    documents: tuple[Document, ...], version: str
) -> None:
    for document in documents:
        kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_variable_is_a_setting_and_none_that_production_needs_is_missing(
    documents: tuple[Document, ...], program: str
) -> None:
    variables = environment(documents, program)

    assert variables.keys() <= KNOWN
    findings = examine(NEEDS[program], variables)
    assert () == findings.problems
    assert findings.settings.is_production == ("-only-" not in variables["OXCART_SIGNING_SECRET"])


def test_example_of_the_secret_is_refused_before_it_is_filled_in() -> None:
    secret = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["stringData"]
    configuration = one(overlay("production"), "ConfigMap", "oxcart")["data"]

    problems = examine(NEEDS["api"], configuration | secret).problems

    assert "OXCART_SIGNING_SECRET" in {problem.variable for problem in problems}


@pytest.mark.parametrize(
    "name",
    ["REDIS_URL", "DATABASE_URL", "OXCART_SIGNING_SECRET", "OXCART_OPERATOR_KEYS", "SMTP_PASS"],
)
def test_secrets_stand_in_the_secret_alone(documents: tuple[Document, ...], name: str) -> None:
    configuration = one(documents, "ConfigMap", "oxcart")["data"]

    assert name not in configuration


@pytest.mark.parametrize("program", PROGRAMS)
def test_pods_may_do_nothing_that_they_need_not(
    documents: tuple[Document, ...], program: str
) -> None:
    spec = pod(documents, program)
    container = spec["containers"][0]

    assert spec["securityContext"]["runAsNonRoot"] is True
    assert 10001 == spec["securityContext"]["runAsUser"]
    assert "RuntimeDefault" == spec["securityContext"]["seccompProfile"]["type"]
    assert spec["automountServiceAccountToken"] is False
    assert {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    } == container["securityContext"]
    assert {"cpu", "memory"} == container["resources"]["requests"].keys()
    assert "memory" in container["resources"]["limits"]
    assert [program] == container["args"]


@pytest.mark.parametrize("program", ["api", "worker"])
def test_pods_have_longer_to_stop_than_their_jobs_have_grace(
    documents: tuple[Document, ...], program: str
) -> None:
    spec = pod(documents, program)
    settings = Settings.from_env(environment(documents, program))
    waits = spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("exec", {})
    before_s = int(waits["command"][1]) if waits else 0

    assert spec["terminationGracePeriodSeconds"] >= settings.grace_seconds + before_s + 10


def test_pods_write_only_where_something_is_mounted(documents: tuple[Document, ...]) -> None:
    for program in PROGRAMS:
        spec = pod(documents, program)
        mounted = {mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
        settings = Settings.from_env(environment(documents, program))

        assert settings.health_dir is not None
        assert "/tmp" in mounted  # noqa: S108  # in the container
        assert settings.health_dir.is_relative_to("/tmp")  # noqa: S108
        assert program == "migrate" or str(settings.data_dir) in mounted


def test_api_is_restarted_for_itself_alone_and_left_out_without_its_database(
    documents: tuple[Document, ...],
) -> None:
    container = pod(documents, "api")["containers"][0]
    paths = {
        kind: container[f"{kind}Probe"]["httpGet"]["path"]
        for kind in ("startup", "liveness", "readiness")
    }

    assert {
        "startup": "/api/health/live",
        "liveness": "/api/health/live",
        "readiness": "/api/health",
    } == paths


def test_service_leads_to_the_api(documents: tuple[Document, ...]) -> None:
    service = one(documents, "Service", "oxcart-api")
    deployment = one(documents, "Deployment", "oxcart-api")
    port = pod(documents, "api")["containers"][0]["ports"][0]

    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert port["name"] == service["spec"]["ports"][0]["targetPort"]
    assert str(port["containerPort"]) == environment(documents, "api")["OXCART_API_PORT"]


def test_workers_are_two_and_one_of_them_always_stays(documents: tuple[Document, ...]) -> None:
    budget = one(documents, "PodDisruptionBudget", "oxcart-worker")
    worker = one(documents, "Deployment", "oxcart-worker")

    assert 2 == worker["spec"]["replicas"]
    assert 1 == budget["spec"]["maxUnavailable"]
    assert budget["spec"]["selector"] == worker["spec"]["selector"]


def test_production_image_is_pinned_and_changed_at_one_place() -> None:
    images = {pod(overlay("production"), program)["containers"][0]["image"] for program in PROGRAMS}

    assert {"registry.example.com/oxcart:0.1.0"} == images


def production_with(component: str, folder: Path) -> tuple[Document, ...]:
    """Production with a component, taken in as its page says."""
    overlay = Path(shutil.copytree(MANIFESTS, folder / "kubernetes")) / "overlays/production"
    with (overlay / "kustomization.yaml").open("a", encoding="utf-8") as file:
        file.write(f"components: [../../components/{component}]\n")
    return rendered(overlay)


@pytest.fixture
def with_keda(tmp_path: Path) -> tuple[Document, ...]:
    return production_with("keda", tmp_path)


def test_prometheus_finds_the_api_and_has_a_key(tmp_path: Path) -> None:
    documents = production_with("prometheus", tmp_path)
    monitor = one(documents, "ServiceMonitor", "oxcart-api")
    service = one(documents, "Service", "oxcart-api")
    (endpoint,) = monitor["spec"]["endpoints"]

    assert "monitoring.coreos.com/v1" == monitor["apiVersion"]
    assert monitor["metadata"]["namespace"] == service["metadata"]["namespace"]
    labels = monitor["spec"]["selector"]["matchLabels"]
    assert labels.items() <= service["metadata"]["labels"].items()
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert {
        "type": "Bearer",
        "credentials": {"name": "oxcart-prometheus", "key": "operator-key"},
    } == endpoint["authorization"]
    assert {"port", "path", "interval", "authorization"} == endpoint.keys()


def test_rules_in_the_cluster_are_those_beside_it(tmp_path: Path) -> None:
    rule = one(production_with("prometheus", tmp_path), "PrometheusRule", "oxcart")
    beside = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text(encoding="utf-8"))

    assert "monitoring.coreos.com/v1" == rule["apiVersion"]
    assert beside == rule["spec"]


def test_keda_decides_about_the_workers_alone(with_keda: tuple[Document, ...]) -> None:
    worker = one(with_keda, "Deployment", "oxcart-worker")
    scaled = one(with_keda, "ScaledObject", "oxcart-worker")["spec"]
    authentication = one(with_keda, "TriggerAuthentication", "oxcart-keda")

    assert "replicas" not in worker["spec"]
    assert worker["metadata"]["name"] == scaled["scaleTargetRef"]["name"]
    assert 2 == scaled["minReplicaCount"] <= scaled["maxReplicaCount"]
    names = {trigger["authenticationRef"]["name"] for trigger in scaled["triggers"]}
    assert {authentication["metadata"]["name"]} == names
    # KEDA's fields are strings, numbers too.
    for trigger in scaled["triggers"]:
        assert "redis" == trigger["type"]
        assert all(isinstance(value, str) for value in trigger["metadata"].values())


async def test_keda_counts_every_job_that_is_ready(
    with_keda: tuple[Document, ...],
    valkey_url: str,
    prefix: str,
    valkey: redis.Redis,
    tmp_path: Path,
) -> None:
    """A mail has a priority, an export has none: they wait in keys of two kinds."""
    triggers = one(with_keda, "ScaledObject", "oxcart-worker")["spec"]["triggers"]
    keys = {
        trigger["name"]: trigger["metadata"]["listName"].replace("bull:", f"{prefix}:", 1)
        for trigger in triggers
    }
    data: JsonValue = {"exportJobId": "e1", "userId": "u1", "type": "ANALYTICS"}

    async with open_system(make_settings(tmp_path, redis_url=valkey_url, prefix=prefix)) as system:
        await system.mailer.send_welcome_email("ada@example.org", "Ada")
        await system.app.queue("export").add("ANALYTICS", data)
        await system.app.queue("email").add("welcome", {})

    counted = {name: counted_by_keda(valkey, key) for name, key in keys.items()}
    assert {"email-prioritized": 1, "email-wait": 1, "export-wait": 1} == counted


def counted_by_keda(valkey: redis.Redis, key: str) -> int:
    """Count as KEDA's scaler for Redis does: a list by LLEN, a sorted set by ZCARD."""
    kind = valkey.type(key)
    return int(valkey.zcard(key) if kind == b"zset" else valkey.llen(key))
