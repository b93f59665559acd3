"""Who is let in, and as whom."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request
from tests.unit.http.fakes import ADA, BOB, OPERATOR_KEY, SERVICE_KEY, FakeUsers, make_settings

from oxcart._settings.identity_rules import session_problems
from oxcart.errors import ConfigError
from oxcart.http.auth import Authenticator, Role
from oxcart.http.local_requests import is_local
from oxcart.http.problems import Kind, ProblemError

FORWARDING_HEADERS = (
    "forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
    "x-forwarded-port", "x-forwarded-server", "x-forwarded-scheme", "x-forwarded-ssl",
    "x-forwarded-prefix", "x-forwarded-user", "x-forwarded-client-cert", "x-forwarded",
    "x-forwarded-anything-else", "x-original-forwarded-for", "x-real-ip", "x-client-ip",
    "client-ip", "true-client-ip", "cf-connecting-ip", "cf-connecting-ipv6", "cf-ray",
    "fastly-client-ip", "fly-client-ip", "x-cluster-client-ip", "x-appengine-user-ip",
    "x-azure-clientip", "x-remote-ip", "x-remote-addr", "remote-addr", "x-proxyuser-ip",
    "wl-proxy-client-ip", "proxy-client-ip", "x-envoy-external-address", "x-original-host",
    "x-original-url", "x-host", "x-scheme", "x-arr-ssl", "x-amzn-trace-id",
    "x-vercel-forwarded-for", "cdn-loop", "x-varnish", "front-end-https", "do-connecting-ip",
)  # fmt: skip


def make_request(
    headers: dict[str, str] | None = None,
    *,
    peer: str | None = "127.0.0.1",
    http_version: str = "1.1",
) -> Request:
    shown = {"host": "127.0.0.1:8400"} | (headers or {})
    return Request(
        {
            "type": "http",
            "http_version": http_version,
            "method": "GET",
            "scheme": "http",
            "path": "/",
            "query_string": b"",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in shown.items()],
            "client": None if peer is None else (peer, 1),
        }
    )


def make_authenticator(env: str = "test", **changes: Any) -> Authenticator:
    return Authenticator(make_settings(env=env, **changes), FakeUsers())


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
@pytest.mark.parametrize(
    ("key", "role"), [(OPERATOR_KEY, Role.OPERATOR), (SERVICE_KEY, Role.SERVICE)]
)
async def test_key_gives_its_role_in_either_header(header: str, key: str, role: Role) -> None:
    value = f"Bearer {key}" if header == "authorization" else key

    caller = await make_authenticator().authenticate(make_request({header: value}))

    assert role is caller.role
    assert caller.user is None


async def test_key_acts_for_the_user_that_the_header_names() -> None:
    request = make_request({"x-api-key": SERVICE_KEY, "x-oxcart-user": BOB.id})

    caller = await make_authenticator().authenticate(request)

    assert caller.user == BOB


async def test_user_named_twice_is_refused_even_where_both_exist() -> None:
    """A proxy that adds its header behind the client's would hand over the client's choice."""
    request = make_request({"x-api-key": SERVICE_KEY, "x-oxcart-user": BOB.id})
    request.scope["headers"].append((b"x-oxcart-user", ADA.id.encode()))

    with pytest.raises(ProblemError) as caught:
        await make_authenticator().authenticate(request)

    assert Kind.BAD_REQUEST is caught.value.problem.kind


@pytest.mark.parametrize("user_id", ["nobody", "", "x" * 201, "user-ada\0"])
async def test_user_who_does_not_exist_is_refused(user_id: str) -> None:
    request = make_request({"x-api-key": SERVICE_KEY, "x-oxcart-user": user_id})

    with pytest.raises(ProblemError) as caught:
        await make_authenticator().authenticate(request)

    assert Kind.NO_USER is caught.value.problem.kind


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Bearer {OPERATOR_KEY}x"},
        {"authorization": f"Bearer {OPERATOR_KEY[:-1]}"},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": OPERATOR_KEY},
        {"authorization": f"Basic {OPERATOR_KEY}"},
        {"x-api-key": ""},
        {"x-api-key": "ünïcode-kéy"},
        {"x-api-key": SERVICE_KEY, "authorization": f"Bearer {OPERATOR_KEY}"},
    ],
)
async def test_missing_or_wrong_key_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ProblemError) as caught:
        await make_authenticator().authenticate(make_request(headers))

    assert Kind.UNAUTHENTICATED is caught.value.problem.kind
    assert caught.value.problem.headers["www-authenticate"] == 'Bearer realm="oxcart"'


async def test_development_lets_a_local_program_in_as_the_default_user() -> None:
    caller = await make_authenticator("development").authenticate(make_request())

    assert Role.DEFAULT_USER is caller.role
    assert caller.user == ADA
    assert not caller.has_key


async def test_user_cannot_be_named_without_a_key_even_in_development() -> None:
    request = make_request({"x-oxcart-user": BOB.id})

    with pytest.raises(ProblemError):
        await make_authenticator("development").authenticate(request)


@pytest.mark.parametrize("env", ["test", "production"])
async def test_only_development_has_a_default_user(env: str) -> None:
    with pytest.raises(ProblemError):
        await make_authenticator(env).authenticate(make_request())


async def test_wrong_key_never_falls_back_to_the_default_user() -> None:
    request = make_request({"authorization": "Bearer wrong"})

    with pytest.raises(ProblemError):
        await make_authenticator("development").authenticate(request)


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("127.0.0.1", {}),
        ("127.8.9.10", {"host": "localhost:8400"}),
        ("::1", {"host": "[::1]:8400"}),
        ("::ffff:127.0.0.1", {}),
        ("127.0.0.1", {"origin": "http://127.0.0.1:8400", "sec-fetch-site": "same-origin"}),
        ("127.0.0.1", {"sec-fetch-site": "none"}),
    ],
)
def test_program_on_this_machine_is_local(peer: str, headers: dict[str, str]) -> None:
    assert is_local(make_request(headers, peer=peer))


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("203.0.113.7", {}),
        ("10.0.0.2", {}),
        ("::ffff:203.0.113.7", {}),
        ("testclient", {}),
        (None, {}),
        ("127.0.0.1", {"host": "rebound.example.org:8400"}),
        ("127.0.0.1", {"host": "localhost.example.org"}),
        ("127.0.0.1", {"host": "localhost@evil.example"}),
        ("127.0.0.1", {"host": ""}),
        ("127.0.0.1", {"host": "[::1"}),
        ("127.0.0.1", {"host": "[::1]evil"}),
        ("127.0.0.1", {"host": "[::1]:80evil"}),
        ("127.0.0.1", {"host": "[127.0.0.1]"}),
        ("127.0.0.1", {"host": "::1"}),
        ("127.0.0.1", {"host": "127.0.0.1:8400:8400"}),
        ("127.0.0.1", {"host": "127.0.0.1 "}),
        ("127.0.0.1", {"host": "127.0.0.1\n"}),
        ("127.0.0.1", {"host": "127.0.0.1/"}),
        ("127.0.0.1", {"host": "127.1"}),
        ("127.0.0.1", {"host": "evil:x@localhost"}),
        ("127.0.0.1", {"origin": "https://evil.example"}),
        ("127.0.0.1", {"origin": "http://127.0.0.1:3000"}),
        ("127.0.0.1", {"origin": "null"}),
        ("127.0.0.1", {"sec-fetch-site": "cross-site"}),
        ("127.0.0.1", {"sec-fetch-site": "same-site"}),
        ("127.0.0.1", {"x-forwarded-for": "127.0.0.1"}),
        ("127.0.0.1", {"forwarded": "for=127.0.0.1"}),
        *(("127.0.0.1", {name: "127.0.0.1"}) for name in FORWARDING_HEADERS),
    ],
)
def test_anything_else_is_not_local(peer: str | None, headers: dict[str, str]) -> None:
    """A proxy, a page of another origin and a rebound name all arrive from loopback."""
    assert not is_local(make_request(headers, peer=peer))


def test_http_1_0_is_not_local() -> None:
    """It is what a reverse proxy speaks that was given nothing but an address."""
    assert not is_local(make_request(http_version="1.0"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"database_url": "sqlite:///club.db"}, "DATABASE_URL is set"),
        ({"api_url": "https://api.club.example"}, "OXCART_API_URL is not"),
        ({"api_url": "http://127.0.0.1@club.example"}, "OXCART_API_URL is not"),
        ({"api_host": "0.0.0.0"}, "OXCART_API_HOST is not"),  # noqa: S104
    ],
)
async def test_only_sample_data_behind_a_loopback_url_is_open(
    changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ProblemError) as caught:
        await make_authenticator("development", **changes).authenticate(make_request())

    assert Kind.UNAUTHENTICATED is caught.value.problem.kind
    assert reason in str(caught.value.problem.detail)


def test_production_without_a_key_does_not_start() -> None:
    settings = make_settings(env="production", operator_keys=(), service_keys=())

    with pytest.raises(ConfigError, match="OXCART_OPERATOR_KEYS or OXCART_SERVICE_KEYS"):
        Authenticator(settings, FakeUsers())


def test_production_with_the_sites_secret_needs_no_key() -> None:
    settings = make_settings(
        env="production", operator_keys=(), service_keys=(), auth_secret="s" * 32
    )

    Authenticator(settings, FakeUsers())


@pytest.mark.parametrize("field", ["nextauth_secret", "auth_secret", "auth_secret_2"])
def test_short_secret_of_sessions_is_a_problem_in_production(field: str) -> None:
    """A guessed secret logs in as any user."""
    settings = make_settings(env="production", **{field: "short-secret"})

    (problem,) = session_problems(settings)

    assert problem.variable == field.upper()
    assert "short-secret" not in problem.text
    assert not list(session_problems(make_settings(**{field: "short-secret"})))


def test_trusted_origin_that_is_no_origin_is_a_problem() -> None:
    settings = make_settings(trusted_origins=("https://a.example", "www.example.org"))

    (problem,) = session_problems(settings)

    assert "'www.example.org'" in str(problem)


def test_production_with_a_short_key_does_not_start_and_does_not_show_it() -> None:
    settings = make_settings(env="production", service_keys=("short-key",))

    with pytest.raises(ConfigError, match="has a key that has 9 characters") as caught:
        Authenticator(settings, FakeUsers())

    assert "short-key" not in str(caught.value)


def test_key_in_both_roles_is_refused() -> None:
    settings = make_settings(operator_keys=(SERVICE_KEY,))

    with pytest.raises(ConfigError, match="both"):
        Authenticator(settings, FakeUsers())


def test_development_starts_without_any_key() -> None:
    Authenticator(make_settings(env="development", operator_keys=(), service_keys=()), FakeUsers())
