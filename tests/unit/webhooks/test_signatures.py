from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from oxcart.errors import ConfigError
from oxcart.webhooks.errors import SignatureInvalid
from oxcart.webhooks.signatures import (
    SigningSecret,
    check_signature,
    read_head,
    signed_headers,
)

OLD, NEW, OTHER = (SigningSecret.generate() for _ in range(3))
NOW = 1_790_000_000
BODY = json.dumps({"type": "export.completed", "data": {"name": "Zoë"}}).encode()


def now() -> int:
    return int(datetime.now(UTC).timestamp())


def test_signature_is_the_one_of_the_specification() -> None:
    """The example of the specification's own libraries."""
    secret = SigningSecret.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_public_library_verifies_with_the_old_and_the_new_secret() -> None:
    headers = signed_headers([NEW, OLD], "msg_1", now(), BODY)

    for secret in (OLD, NEW):
        assert Webhook(secret.reveal()).verify(BODY, headers) == json.loads(BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER.reveal()).verify(BODY, headers)


def test_signature_of_the_public_library_is_accepted_by_any_secret_in_use() -> None:
    at = datetime.now(UTC)
    signature = Webhook(OLD.reveal()).sign("msg_2", at, BODY.decode())
    headers = {
        "webhook-id": "msg_2",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": f"v1a,bm90IG91cnM= v1,bm90IG91cnM= {signature}",
    }

    head = read_head(headers, now=now())
    check_signature([NEW, OLD], head, BODY)
    with pytest.raises(SignatureInvalid, match="any of the secrets"):
        check_signature([NEW], head, BODY)
    with pytest.raises(SignatureInvalid, match="any of the secrets"):
        check_signature([NEW, OLD], head, BODY + b" ")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"webhook-id": ""}, "webhook-id"),
        ({"webhook-id": "a\nb"}, "webhook-id"),
        ({"webhook-id": "é"}, "webhook-id"),
        ({"webhook-id": "a" * 201}, "webhook-id"),
        ({"webhook-timestamp": "soon"}, "webhook-timestamp"),
        ({"webhook-timestamp": "-1"}, "webhook-timestamp"),
        ({"webhook-timestamp": "١٢"}, "webhook-timestamp"),
        ({"webhook-timestamp": str(NOW - 301)}, "300 s"),
        ({"webhook-timestamp": str(NOW + 301)}, "300 s"),
        ({"webhook-signature": " "}, "webhook-signature"),
    ],
)
def test_malformed_or_old_head_is_refused(changes: dict[str, str], match: str) -> None:
    headers = signed_headers([OLD], "msg_1", NOW, BODY) | changes

    with pytest.raises(SignatureInvalid, match=match):
        read_head(headers, now=NOW)


@pytest.mark.parametrize(
    "signature", ["v1", "v1,", "v1,ü", ",", "v2,AAAA", "v1,AAAA,BBBB", "\udc80"]
)
def test_signature_of_another_form_is_refused_not_an_error(signature: str) -> None:
    headers = signed_headers([OLD], "msg_1", now(), BODY) | {"webhook-signature": signature}

    with pytest.raises(SignatureInvalid):
        check_signature([OLD], read_head(headers, now=now()), BODY)


@pytest.mark.parametrize("text", ["", "whsec_", "MfKQ9r8G", "whsec_%%%", "whsec_c2hvcnQ="])
def test_text_that_is_not_a_secret_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SigningSecret.parse(text)
    assert not text or text not in str(caught.value).replace("whsec_", "", 1) or text == "whsec_"


def test_secret_is_not_shown_by_its_repr() -> None:
    assert repr(OLD) == "SigningSecret()"
    assert SigningSecret.parse(OLD.reveal()) == OLD
