"""Keys that share a slot: what a cluster asks of a queue's name.

A cluster spreads keys over its nodes by a hash, and a script may only touch keys of one slot. Of a
key with ``{...}`` in it only what is inside the braces is hashed: that is its hash tag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxcart.errors import ConfigError

if TYPE_CHECKING:
    from oxcart._store.location import Location
    from oxcart._wire.keys import QueueKeys


def hash_tag(key: str) -> str | None:
    """The part of a key that a cluster hashes instead of the whole; ``None`` without one."""
    _, opening, rest = key.partition("{")
    tag, closing, _ = rest.partition("}")
    return tag if opening and closing and tag else None


def check_slots(location: Location, *queues: QueueKeys) -> None:
    """Refuse queues whose keys a cluster would spread; does nothing for a server of its own.

    Args:
        location: where the server is.
        queues: one queue, or all queues that one step may write to, as a flow's.

    Raises:
        ConfigError: a queue's keys, or those of all of them, do not share a hash tag.
    """
    if not location.is_cluster:
        return
    tags = {keys.base: hash_tag(keys.base) for keys in queues}
    for keys in queues:
        if tags[keys.base] is None:
            raise ConfigError(
                f"the queue {keys.queue!r} with the prefix {keys.prefix!r} cannot be in a cluster, "
                "where all keys of a queue must share a hash tag, a part in braces: write it in "
                f"the prefix, as prefix={_with_tag(keys.prefix)!r}, or in the queue's name, as "
                f"{_with_tag(keys.queue)!r}"
            )
    if len(set(tags.values())) > 1:
        raise ConfigError(
            "in a cluster all queues of a flow must share one hash tag, and these do not: "
            + ", ".join(sorted(base.removesuffix(":") for base in tags))
            + f"; write it in the prefix of all, as prefix={_with_tag(queues[0].prefix)!r}"
        )


def _with_tag(name: str) -> str:
    bare = name.replace("{", "").replace("}", "")
    return "{" + (bare or "bull") + "}"
