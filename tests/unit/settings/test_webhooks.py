"""Webhook settings that cannot work stop the start, by the variable's name and without a secret."""

from __future__ import annotations

import pytest

from oxcart._settings.checks import PROGRAMS, examine
from oxcart.webhooks.signatures import SigningSecret

SECRET = SigningSecret.generate().reveal()
GOOD = {
    "OXCART_WEBHOOK_ENDPOINTS": "site=https://hooks.example/in",
    "OXCART_WEBHOOK_SECRETS": f"site={SECRET}",
}


def problems(**changes: str) -> list[str]:
    found = examine(PROGRAMS["dev"], {**GOOD, **changes}).problems
    return [str(problem) for problem in found if "WEBHOOK" in problem.variable]


def test_endpoint_with_a_secret_is_enough() -> None:
    assert problems() == []
    assert SECRET not in repr(examine(PROGRAMS["dev"], GOOD).settings)


@pytest.mark.parametrize(
    ("variable", "text", "says"),
    [
        ("OXCART_WEBHOOK_ENDPOINTS", "", "OXCART_WEBHOOK_SECRETS is set"),
        ("OXCART_WEBHOOK_ENDPOINTS", "site=ftp://x", "must be https://"),
        ("OXCART_WEBHOOK_SECRETS", "", "'site' has no secret"),
        ("OXCART_WEBHOOK_SECRETS", "site=whsec_x", "secret must be base64"),
        ("OXCART_WEBHOOK_EVENTS", "other=export.*", "'other' has an event"),
        ("OXCART_WEBHOOK_ALLOWED_HOSTS", "10.0.0.0/99", "not a host name"),
        ("OXCART_WEBHOOK_WAITS", "soon", "soon"),
        ("OXCART_WEBHOOK_JOBS", "images:", "queue:name"),
        ("OXCART_WEBHOOK_INCOMING_SECRETS", "whsec_x", "base64"),
    ],
)
def test_setting_that_cannot_work_is_named(variable: str, text: str, says: str) -> None:
    (problem,) = problems(**{variable: text})

    assert says in problem
    assert text == "" or problem.startswith(variable)
    assert SECRET not in problem


def test_plain_http_in_production_needs_a_listed_host() -> None:
    env = GOOD | {"OXCART_ENV": "production", "OXCART_WEBHOOK_ENDPOINTS": "site=http://site:3000/"}
    refused = examine(PROGRAMS["api"], env).problems
    listed = examine(PROGRAMS["api"], env | {"OXCART_WEBHOOK_ALLOWED_HOSTS": "site"}).problems

    assert any("must be https:// in production" in str(problem) for problem in refused)
    assert not any("WEBHOOK" in problem.variable for problem in listed)
