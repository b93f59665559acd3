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
    "ACL failure in script", "BUSY ", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF",
    "NOPERM", "NOREPLICAS", "OOM", "READONLY", "Script attempted to access a non local key",
    "Script killed by user", "The user executing the script can't", "TRYAGAIN", "UNBLOCKED",
)  # fmt: skip
"""Replies by which the server refuses a command of a script for now: the script did no wrong."""

_REFUSAL_IN_SCRIPT = re.compile(
    r"Error running script .*@user_script: ?\d+: "
    r"(-?(CLUSTERDOWN|MISCONF|NOPERM|NOREPLICAS|OOM|READONLY)\b"
    r"|The user executing the script can't|Script killed by user)"
)
"""The same in Redis 6.2; later ones put the code first."""

_OWN_ERROR = re.compile(
    # Names the place in the script: an error that a script raised or that a command in it returned.
    r"user_script:|Error compiling script"
    # A command that was not written as it should be.
    r"|^(syntax error|value is not|min or max is not|wrong number of arguments)"
)
"""Replies that the call itself causes. It would be answered the same by a server in good health."""

_SENT = re.compile(r",? with args beginning with: .*", re.DOTALL)
"""Where the server repeats what it was sent: a payload, or a password."""

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
    except exceptions.InvalidResponse as error:
        raise StoreUnavailable(f"{what}: the answer is not Redis' protocol: {error}") from error
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
    """The error for a reply: the script's own, or else the server's refusal.

    A server has many ways to refuse, and new versions add to them; each would end a worker's runs
    if it were taken for the script's error. So only what is known to be the script's own is.
    """
    from redis import exceptions

    text = _SENT.sub("", str(error))
    if isinstance(error, exceptions.ClusterCrossSlotError):
        return _several_slots(what)
    if isinstance(error, exceptions.MovedError):
        return StoreUnavailable(
            f"{what}: the server is a node of a cluster, and the keys are on another one: {text}; "
            "its URL must start with redis+cluster://"
        )
    if "WRONGTYPE" in text:
        return WrongKeyType(f"{what}: {text}")
    if _OWN_ERROR.search(text) and not _is_refusal_within(error, text):
        return ScriptFailed(f"{what}: {text}")
    return StoreUnavailable(f"{what}: the server refuses for now: {text}")


def _is_refusal_within(error: Exception, text: str) -> bool:
    """Whether the server refused a command that a script sent."""
    from redis import exceptions

    # The client takes the code off the text of the errors that it has classes for.
    classes = (
        exceptions.AskError, exceptions.AuthenticationWrongNumberOfArgsError,
        exceptions.ClusterDownError, exceptions.NoPermissionError, exceptions.OutOfMemoryError,
        exceptions.ReadOnlyError, exceptions.TryAgainError,
    )  # fmt: skip
    is_code = isinstance(error, classes) or text.startswith(_REFUSALS)
    return is_code or _REFUSAL_IN_SCRIPT.search(text) is not None


def _brief(error: BaseException) -> str:
    """The error's text, without the whole of each Sentinel's client that could not be asked."""
    text, clients, _ = str(error).partition(" : <redis")
    return f"{text}: not every Sentinel could be asked" if clients else text


def _several_slots(what: str) -> ConfigError:
    return ConfigError(
        f"{what}: its keys are in several slots of the cluster; all keys of a queue, and of all "
        "queues of a flow, must share a hash tag: write it in the prefix, as prefix='{bull}'"
    )
