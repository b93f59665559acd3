"""Tokens and keys made by ``jose``, the library of most issuers in JavaScript."""

from __future__ import annotations

import time

from tests.interop.sessions.installation import NodeHome

from oxcart._auth.jwt import FixedKeys, TokenRules, TokenVerifier, public_keys, secret_key

SECRET = "Zq3vXh0mT8sPw2LcYk7dRb5NfJg9uAe1"


async def test_token_of_each_algorithm_is_accepted(node_home: NodeHome) -> None:
    claims = {"sub": "user-ada", "iss": "login", "aud": "api", "exp": int(time.time()) + 60}
    made = node_home.run("jwt.mjs", {"claims": claims, "secret": SECRET})
    rules = TokenRules(algorithms=tuple(made["tokens"]), issuers=("login",), audiences=("api",))
    sources = [FixedKeys(public_keys(made["jwks"])), FixedKeys((secret_key(SECRET),))]
    verifier = TokenVerifier(rules, sources)

    users = {alg: (await verifier.identify(token)).user_id for alg, token in made["tokens"].items()}

    assert (
        dict.fromkeys(("RS256", "PS256", "ES256", "ES384", "EdDSA", "HS256"), "user-ada") == users
    )
