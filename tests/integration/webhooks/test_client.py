from __future__ import annotations

import ipaddress
import json
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from standardwebhooks.webhooks import Webhook
from tests.integration.webhooks.receiver import receiving

from oxcart.webhooks.addresses import Address, AddressPolicy
from oxcart.webhooks.client import MAX_ANSWER_BYTES, WebhookClient, resolve_host
from oxcart.webhooks.endpoints import Endpoint
from oxcart.webhooks.signatures import SigningSecret

SECRET = SigningSecret.generate()
BODY = json.dumps({"type": "export.completed", "data": {}}).encode()
LOOPBACK = [ipaddress.ip_address("127.0.0.1")]


def endpoint(url: str) -> Endpoint:
    return Endpoint(name="site", url=url, secrets=(SECRET,))


def client(policy: AddressPolicy | None = None, **options: object) -> WebhookClient:
    policy = policy or AddressPolicy(is_development=True)
    return WebhookClient(policy, **options)  # type: ignore[arg-type]  # the test's own


async def test_message_arrives_signed_and_the_answer_is_kept_in_part() -> None:
    async with receiving() as receiver:
        receiver.answer = "200 OK\r\ncontent-length: 100000"
        receiver.body = b"a\x1b[31m\xe2\x80\xae" + b"b" * 99_992
        answer = await client().send(endpoint(receiver.url), "msg_1", BODY)

    (request,) = receiver.requests
    assert (answer.status, answer.error, answer.is_success) == (200, None, True)
    assert len(answer.text.encode()) <= MAX_ANSWER_BYTES + 8
    assert answer.text.startswith("a\ufffd[31m\ufffdbbb")
    assert request.line == "POST /hook HTTP/1.1"
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["content-type"] == "application/json"
    assert Webhook(SECRET.reveal()).verify(request.body, request.headers) == json.loads(BODY)


@pytest.mark.parametrize(
    ("answer", "status", "retry_after"),
    [
        ("302 Found\r\nlocation: http://127.0.0.1:{port}/inner\r\ncontent-length: 0", 302, None),
        ("410 Gone\r\ncontent-length: 0", 410, None),
        ("429 Too Many Requests\r\nretry-after: 120\r\ncontent-length: 0", 429, 120.0),
        ("503 Busy\r\nretry-after: soon\r\ncontent-length: 0", 503, None),
        ("503 Busy\r\nretry-after: 99999999999\r\ncontent-length: 0", 503, 86_400.0),
    ],
)
async def test_other_status_is_a_failure_and_redirects_are_not_followed(
    answer: str, status: int, retry_after: float | None
) -> None:
    async with receiving() as receiver:
        receiver.answer = answer.format(port=receiver.port)
        found = await client().send(endpoint(receiver.url), "msg_1", BODY)

    assert (found.status, found.is_success) == (status, False)
    assert found.retry_after_seconds == retry_after
    assert receiver.connection_count == 1


async def test_receiver_that_is_silent_or_away_is_a_failed_attempt() -> None:
    async with receiving() as receiver:
        receiver.answer = "silence"
        silent = await client(timeout_seconds=0.2).send(endpoint(receiver.url), "msg_1", BODY)
        receiver.answer = "nonsense"
        broken = await client().send(endpoint(receiver.url), "msg_1", BODY)
    away = await client().send(endpoint(receiver.url), "msg_1", BODY)

    assert silent.error == "no answer within 0.2 s"
    assert broken.status is None
    assert broken.error is not None
    assert away.error is not None
    assert away.error.startswith("no connection")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
    ],
)
async def test_no_spelling_of_this_machine_is_connected_to(host: str) -> None:
    async with receiving() as receiver:
        url = f"https://{host}:{receiver.port}/"
        answer = await client(AddressPolicy()).send(endpoint(url), "msg_1", BODY)

    assert answer.error is not None
    assert "is refused as a receiver of webhooks" in answer.error
    assert receiver.connection_count == 0


async def test_host_is_resolved_once_and_the_checked_address_is_connected_to() -> None:
    """A name server that changes its answer cannot lead to an address that was not checked."""
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> Sequence[Address]:
        asked.append(host)
        public = ipaddress.ip_address("198.51.100.7" if len(asked) > 1 else "127.0.0.1")
        return [public]

    async with receiving() as receiver:
        url = f"http://hooks.internal:{receiver.port}/"
        policy = AddressPolicy.parse(["hooks.internal"])
        answer = await client(policy, resolve=rebinding).send(endpoint(url), "msg_1", BODY)
        assert (answer.status, asked) == (204, ["hooks.internal"])
        assert receiver.requests[0].headers["host"] == f"hooks.internal:{receiver.port}"

        asked.clear()
        refused = await client(AddressPolicy(), resolve=rebinding).send(
            endpoint(url.replace("http:", "https:")), "msg_2", BODY
        )
        assert refused.error is not None
        assert "127.0.0.1 is a loopback address" in refused.error
        assert receiver.connection_count == 1


async def test_certificate_is_verified_for_the_name_and_not_the_address(tmp_path: Path) -> None:
    """The connection goes to the checked address; TLS asks for the host of the URL."""
    certificate, key = make_certificate("hooks.internal")
    (tmp_path / "pair.pem").write_bytes(certificate + key)
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(tmp_path / "pair.pem")
    asked: list[str | None] = []
    server_side.sni_callback = lambda _socket, name, _context: asked.append(name)
    trusting = ssl.create_default_context(cadata=certificate.decode())

    async def resolve(host: str, port: int) -> Sequence[Address]:
        return LOOPBACK

    policy = AddressPolicy.parse(["hooks.internal", "other.internal"])
    async with receiving(tls=server_side) as receiver:
        sender = client(policy, resolve=resolve, ssl_context=trusting)
        answers = [
            await sender.send(endpoint(f"https://{host}:{receiver.port}/"), "msg_1", BODY)
            for host in ("hooks.internal", "other.internal")
        ]
        untrusting = client(policy, resolve=resolve)
        url = f"https://hooks.internal:{receiver.port}/"
        unknown = await untrusting.send(endpoint(url), "msg_1", BODY)

    assert [answer.status for answer in answers] == [204, None]
    assert asked[:2] == ["hooks.internal", "other.internal"]
    for answer in (answers[1], unknown):
        assert answer.error is not None
        assert "certificate" in answer.error.lower()
    assert len(receiver.requests) == 1


def make_certificate(name: str) -> tuple[bytes, bytes]:
    """A certificate that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(pem), private


async def test_second_address_is_tried_when_the_first_does_not_answer() -> None:
    async def resolve(host: str, port: int) -> Sequence[Address]:
        return [ipaddress.ip_address("127.0.0.2"), *LOOPBACK]

    async with receiving() as receiver:
        with socket.create_server(("127.0.0.2", 0)) as taken:
            taken.getsockname()
        answer = await client(resolve=resolve).send(
            endpoint(f"http://hooks.example:{receiver.port}/"), "msg_1", BODY
        )

    assert answer.status == 204


async def test_environment_proxies_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as receiver, receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        answer = await client().send(endpoint(receiver.url), "msg_1", BODY)

    assert (answer.status, proxy.connection_count) == (204, 0)


async def test_names_are_resolved_by_the_system() -> None:
    assert set(await resolve_host("localhost", 80)) <= {
        ipaddress.ip_address("127.0.0.1"),
        ipaddress.ip_address("::1"),
    }
