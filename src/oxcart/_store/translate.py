"""The Redis client's errors as ours, translated in one place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from oxcart.errors import (
    ConfigError,
    OxcartError,
    ScriptFailed,
    StoreTimeout,
    StoreUnavailable,
    WrongKeyType,
)

_REFUSALS = (
    "ACL failure in script", "BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF",
    "NOREPLICAS", "OOM", "READONLY", "TRYAGAIN", "UNBLOCKED",
)  # fmt: skip
"""Replies by which a healthy server says that it takes no writes at the moment."""

_REFUSAL_IN_SCRIPT = re.compile(
    r"Error running script .*@user_script: ?\d+: -?(MISCONF|NOREPLICAS|OOM|READONLY)\b"
)
"""How Redis 6.2 says the same from within a script; later ones put the code first."""

_SEVERAL_SLOTS = "map to the same key slot"


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the client's errors into ``StoreError``s that name the call.

    Raises:
        ConfigError: the call needs keys of several slots of a cluster.
    """
    # Imported here, not above: a program that only imports oxcart should not pay for the client.
    from redis import exceptions

    try:
        yield
    except exceptions.TimeoutError as error:
        raise StoreTimeout(f"{what}: the server did not answer in time: {error}") from error
    except exceptions.AuthenticationError as error:
        raise StoreUnavailable(f"{what}: the server refuses the credentials: {error}") from error
    except (exceptions.ConnectionError, OSError) as error:
        raise StoreUnavailable(f"{what}: the server cannot be reached: {_brief(error)}") from error
    except exceptions.ResponseError as error:
        raise _of_reply(what, error) from error
    except exceptions.ClusterError as error:
        raise StoreUnavailable(f"{what}: the cluster refuses for now: {error}") from error
    except exceptions.RedisError as error:
        raise ScriptFailed(f"{what}: {error}") from error
    except exceptions.RedisClusterException as error:  # not a RedisError
        if _SEVERAL_SLOTS in str(error):
            raise _several_slots(what) from error
        raise StoreUnavailable(f"{what}: the cluster cannot be used: {error}") from error


def is_missing_script(error: BaseException) -> bool:
    """Whether the server only lacks the script's text."""
    from redis import exceptions

    return isinstance(error, exceptions.NoScriptError)


def _of_reply(what: str, error: Exception) -> OxcartError:
    """What an error that the server replied stands for."""
    from redis import exceptions

    text = str(error)
    if isinstance(error, exceptions.ClusterCrossSlotError):
        return _several_slots(what)
    if isinstance(error, exceptions.MovedError):
        return StoreUnavailable(
            f"{what}: the server is a node of a cluster, and the keys are on another one: {text}; "
            "its URL must start with redis+cluster://"
        )
    # The client takes the code off the text of the errors that it has classes for.
    classes = (
        exceptions.AskError, exceptions.ClusterDownError, exceptions.NoPermissionError,
        exceptions.OutOfMemoryError, exceptions.ReadOnlyError, exceptions.TryAgainError,
    )  # fmt: skip
    is_refusal = isinstance(error, classes) or text.startswith(_REFUSALS)
    if is_refusal or _REFUSAL_IN_SCRIPT.search(text):
        return StoreUnavailable(f"{what}: the server refuses for now: {text}")
    kind = WrongKeyType if "WRONGTYPE" in text else ScriptFailed
    return kind(f"{what}: {text}")


def _brief(error: BaseException) -> str:
    """The error's text, without the whole of each Sentinel's client that could not be asked."""
    text, clients, _ = str(error).partition(" : <redis")
    return f"{text}: not every Sentinel could be asked" if clients else text


def _several_slots(what: str) -> ConfigError:
    return ConfigError(
        f"{what}: its keys are in several slots of the cluster; all keys of a queue, and of all "
        "queues of a flow, must share a hash tag: write it in the prefix, as prefix='{bull}'"
    )
