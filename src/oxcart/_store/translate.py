"""The Redis client's errors as ours, translated in one place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from oxcart.errors import ScriptFailed, StoreTimeout, StoreUnavailable, WrongKeyType

_REFUSALS = (
    "ACL failure in script", "BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF",
    "NOREPLICAS", "OOM", "READONLY", "TRYAGAIN",
)  # fmt: skip
"""Replies by which a healthy server says that it takes no writes at the moment."""


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the client's errors into ``StoreError``s that name the call."""
    # Imported here, not above: a program that only imports oxcart should not pay for the client.
    from redis import exceptions

    try:
        yield
    except exceptions.TimeoutError as error:
        raise StoreTimeout(f"{what}: the server did not answer in time: {error}") from error
    except exceptions.AuthenticationError as error:
        raise StoreUnavailable(f"{what}: the server refuses the credentials: {error}") from error
    except (exceptions.ConnectionError, OSError) as error:
        raise StoreUnavailable(f"{what}: the server cannot be reached: {error}") from error
    except exceptions.ResponseError as error:
        text = str(error)
        # The client takes the code off the text of the errors that it has classes for.
        classes = (
            exceptions.AskError, exceptions.ClusterDownError, exceptions.NoPermissionError,
            exceptions.OutOfMemoryError, exceptions.ReadOnlyError, exceptions.TryAgainError,
        )  # fmt: skip
        if isinstance(error, classes) or text.startswith(_REFUSALS):
            raise StoreUnavailable(f"{what}: the server refuses for now: {text}") from error
        kind = WrongKeyType if "WRONGTYPE" in text else ScriptFailed
        raise kind(f"{what}: {text}") from error
    except exceptions.RedisError as error:
        raise ScriptFailed(f"{what}: {error}") from error


def is_missing_script(error: BaseException) -> bool:
    """Whether the server only lacks the script's text."""
    from redis import exceptions

    return isinstance(error, exceptions.NoScriptError)
