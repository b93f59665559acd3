"""The page ``docs/how-to/authentication.md``: what its snippets make is accepted."""

from __future__ import annotations

import re
from typing import Any

from tests.docs.pages import ROOT
from tests.docs.session import snippets_of

from oxcart.http.tokens import open_verifier
from oxcart.settings import Settings

PAGE = ROOT / "docs/how-to/authentication.md"


async def test_token_of_the_page_is_accepted_with_the_settings_of_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    (snippet,) = [item for item in snippets_of(PAGE) if "jwt.encode" in item.text]
    names: dict[str, Any] = {}
    exec(snippet.compiled(), names)  # noqa: S102  # a page of this repository
    environ = dict(re.findall(r"^(OXCART_JWT_(?:ISSUERS|AUDIENCES))=(\S+)$", text, re.MULTILINE))
    secret = re.findall(r'import_key\("(.+?)"\)', snippet.text)[0]

    verifier = open_verifier(Settings.from_env({**environ, "OXCART_JWT_SECRET": secret}))

    assert verifier is not None
    identity = await verifier.identify(names["headers"]["authorization"].removeprefix("Bearer "))
    assert "user_admin" == identity.user_id
