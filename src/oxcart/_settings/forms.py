"""Forms of settings: what a variable's text must look like."""

from __future__ import annotations

from typing import Annotated

import msgspec

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
RedisUrl = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(rediss?|unix|rediss?\+(cluster|sentinel))://",
        description="it must begin with redis://, rediss:// or unix://, with redis+cluster:// or "
        "with redis+sentinel://",
    ),
]
WebUrl = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^https?://[^/?#\s]", description="it must be a URL as https://example.org"
    ),
]
Positive = Annotated[int, msgspec.Meta(ge=1)]
NotNegative = Annotated[int, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(ge=0.001)]
Days = Annotated[float, msgspec.Meta(ge=0, le=36_500)]
Rate = Annotated[float, msgspec.Meta(ge=0, le=1)]
Dsn = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^https?://[^@/\s]+@[^/\s]+/\S+$",
        description="it must be a project's DSN as https://key@host/1",
    ),
]
