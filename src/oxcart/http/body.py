"""Reading a JSON body strictly: what comes out can be stored anywhere and shown to anyone.

Refused with a 4xx: another media type, a compressed body, a body that comes too slowly, bytes that
are not UTF-8, what is not JSON, duplicate names, ``NaN``, nesting beyond ``MAX_DEPTH``, strings
with NUL or lone surrogates (PostgreSQL and UTF-8 cannot hold them). The size is limited before, by
``limits``. A route reads its body by ``body_of(Model)``, after authentication.
"""

from __future__ import annotations

import asyncio
import json
from email.message import Message
from typing import Any, NoReturn, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel

from oxcart.http.problems import Kind, ProblemError

MAX_DEPTH = 64
READ_SECONDS = 30.0

Model = TypeVar("Model", bound=BaseModel)


def body_of(model: type[Model]) -> Any:
    """A FastAPI dependency that reads the body and checks it against a model.

    FastAPI's own body parameters are read before any dependency runs, so a caller without a key
    could make the server read and parse; a dependency declared after the caller's cannot.
    """

    async def read(request: Request) -> Model:
        return model.model_validate(parse_json(await read_bytes(request)))

    return Depends(read)


def body_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The ``requestBody`` for a route's ``openapi_extra``."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def parse_json(raw: bytes) -> Any:
    """Parse a body.

    Raises:
        ProblemError: 400, saying what is wrong and where.
    """
    if not raw.strip():
        _refuse("the body is empty; a JSON object is needed")
    try:
        value = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique_names, parse_constant=_no_constant
        )
    except UnicodeDecodeError as error:
        _refuse(f"the body is not UTF-8 (byte {error.start})", error)
    except json.JSONDecodeError as error:
        _refuse(f"{error.msg} (line {error.lineno}, column {error.colno})", error)
    except RecursionError as error:
        _refuse(f"nested deeper than {MAX_DEPTH} levels", error)
    except ValueError as error:  # an integer with more digits than Python converts
        _refuse("a number is too long", error)
    _check_values(value)
    return value


async def read_bytes(request: Request) -> bytes:
    """Read a body as it arrived; reading it a second time returns the same bytes.

    Raises:
        ProblemError: 415, the media type or encoding is another one; 408, it comes too slowly.
    """
    _check_media_type(request)
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await request.body()
    except TimeoutError as error:
        detail = f"the body did not arrive within {READ_SECONDS:.0f} s"
        raise ProblemError(Kind.REQUEST_TIMEOUT, detail, connection="close") from error


def _check_media_type(request: Request) -> None:
    header = Message()
    header["content-type"] = request.headers.get("content-type", "")
    media_type = header.get_content_type()
    is_json = media_type == "application/json" or (
        media_type.startswith("application/") and media_type.endswith("+json")
    )
    charset = str(header.get_param("charset", "utf-8")).lower()
    if not is_json or charset not in ("utf-8", "utf8"):
        detail = "send the body as application/json in UTF-8"
        raise ProblemError(Kind.UNSUPPORTED_MEDIA_TYPE, detail, accept="application/json")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        detail = "send the body without a content encoding"
        raise ProblemError(Kind.UNSUPPORTED_MEDIA_TYPE, detail, accept_encoding="identity")


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        _refuse("an object has the same name twice")
    return value


def _no_constant(name: str) -> NoReturn:
    _refuse(f"{name} is not JSON")


def _check_values(root: Any) -> None:
    """Walk without recursion, so that depth is counted and never suffered."""
    pending = [(root, 1)]
    while pending:
        value, depth = pending.pop()
        if depth > MAX_DEPTH:
            _refuse(f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, str):
            _check_text(value)
        elif isinstance(value, dict):
            for name, inner in value.items():
                _check_text(name)
                pending.append((inner, depth + 1))
        elif isinstance(value, list):
            pending.extend((inner, depth + 1) for inner in value)


def _check_text(text: str) -> None:
    if not is_storable(text):
        _refuse("a string holds a NUL character or half a surrogate pair")


def is_storable(text: str) -> bool:
    """Whether UTF-8 and PostgreSQL can hold a text: no NUL, no lone surrogate."""
    if "\0" in text:
        return False
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _refuse(detail: str, cause: Exception | None = None) -> NoReturn:
    raise ProblemError(Kind.INVALID_JSON, detail) from cause
