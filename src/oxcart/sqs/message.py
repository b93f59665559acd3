"""A job as the body of a message in SQS.

::

    {"id": "…", "name": "welcome", "data": {…}, "opts": {"attempts": 3, …}, "timestamp": 1767…}

``data``, ``opts`` and ``timestamp`` are what the fields of the same names hold in Redis. Only
``name`` must be there: without an ``id`` the message's own is taken, without ``opts`` those that
the job was declared with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec

from oxcart._model.job import JobSpec
from oxcart._wire import fields
from oxcart._wire.codec import encode_job_name, encode_json
from oxcart._wire.options_codec import encode_options
from oxcart.errors import PayloadError

MAX_ID_LENGTH = 200
_NOT_IN_XML = {0xFFFE: "\\ufffe", 0xFFFF: "\\uffff"}
"""Characters that JSON may hold and SQS refuses; they only stand in texts, so they are escaped."""


class _Body(msgspec.Struct, frozen=True):
    name: str
    id: str = ""
    data: msgspec.Raw = msgspec.Raw(b"{}")
    opts: msgspec.Raw = msgspec.Raw(b"")
    timestamp: int = 0


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Body)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMessage:
    """A job read from a message.

    Attributes:
        job_id: the job; empty if the message does not name it.
        name: its name.
        fields: the job as the fields of a hash in Redis.
        has_options: whether the message brought options.
    """

    job_id: str
    name: str
    fields: Mapping[bytes, bytes]
    has_options: bool


def write_message(spec: JobSpec, *, job_id: str, made_at_ms: int, prefix: str) -> str:
    """Write a job as a message's body.

    Raises:
        PayloadError: JSON cannot hold the data.
    """
    encode_job_name(spec.name)
    options = replace(spec.options, job_id=None, delay=None)
    body = _Body(
        name=spec.name,
        id=job_id,
        data=msgspec.Raw(encode_json(spec.data, what=f"the data of job {spec.name!r}")),
        opts=msgspec.Raw(encode_options(options, prefix=prefix)),
        timestamp=made_at_ms,
    )
    return _encoder.encode(body).decode().translate(_NOT_IN_XML)


def read_message(body: str) -> ReadMessage:
    """Read a message's body.

    Raises:
        PayloadError: it is no job.
    """
    try:
        job = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise PayloadError(f"the message is no job: {error}") from error
    if not job.name:
        raise PayloadError("the message is no job: its name is empty")
    if len(job.id) > MAX_ID_LENGTH:
        raise PayloadError(f"the message is no job: its id is over {MAX_ID_LENGTH} characters")
    raw = {
        fields.NAME: job.name.encode(),
        fields.DATA: bytes(job.data),
        fields.OPTIONS: bytes(job.opts),
        fields.CREATED_AT: str(job.timestamp).encode(),
    }
    return ReadMessage(job_id=job.id, name=job.name, fields=raw, has_options=bool(bytes(job.opts)))
