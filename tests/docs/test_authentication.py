"""The page ``docs/how-to/authentication.md``: what its snippets make is accepted."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from tests.docs.pages import ROOT
from tests.docs.session import snippets_of

from oxcart.http import CredentialRejected, Identity
from oxcart.http.hooks import ask_hook, load_hook
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


async def test_hook_of_the_page_names_the_user(
    reader: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(reader)
    monkeypatch.delitem(sys.modules, "badges", raising=False)
    (snippet,) = [item for item in snippets_of(PAGE) if item.title == "badges.py"]
    (reader / snippet.title).write_text(snippet.text, encoding="utf-8")
    hook = load_hook("badges:identify")

    assert await ask_hook(hook, _request()) is None
    found = await ask_hook(hook, _request((b"x-badge", b"7")))
    assert Identity(user_id="user_7", is_from_cookie=False) == found
    with pytest.raises(CredentialRejected, match="badge"):
        await ask_hook(hook, _request((b"x-badge", b"7;")))


def _request(*headers: tuple[bytes, bytes]) -> Request:
    return Request({"type": "http", "headers": list(headers)})
