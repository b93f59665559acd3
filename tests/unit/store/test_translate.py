from __future__ import annotations

import pytest
from redis import exceptions

from oxcart._store.translate import translated
from oxcart.errors import ConfigError, ScriptFailed, StoreTimeout, StoreUnavailable, WrongKeyType


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ClusterDownError("CLUSTERDOWN Hash slot not served"),
        exceptions.TryAgainError("Multiple keys request during rehashing of slot"),
        exceptions.AskError("1 host:2"),
        exceptions.MovedError("1 host:2"),
        exceptions.MasterDownError("Link with MASTER is down"),
        exceptions.ClusterError("TTL exhausted."),
        exceptions.SlotNotCoveredError('Slot "1" is not covered by the cluster.'),
        exceptions.RedisClusterException("Redis Cluster cannot be connected."),
        exceptions.ResponseError("UNBLOCKED force unblock from blocking operation"),
        exceptions.ReadOnlyError("You can't write against a read only replica."),
        exceptions.ResponseError(
            "Error running script (call to f_0a): @user_script:7: @user_script: 7: -READONLY You "
            "can't write against a read only replica."
        ),
        exceptions.ResponseError(
            "Error running script (call to f_0a): @user_script:7: @user_script: 7: Script killed "
            "by user with SCRIPT KILL..."
        ),
        exceptions.ResponseError(
            "Script killed by user with SCRIPT KILL. script: 0a, on @user_script"
        ),
        exceptions.ResponseError("Protocol error: unauthenticated multibulk length"),
        exceptions.ResponseError("Protocol error: unauthenticated bulk length"),
        exceptions.AuthenticationWrongNumberOfArgsError(
            "wrong number of arguments for 'auth' command"
        ),
        exceptions.ResponseError("QUOTA the plan's limit is reached"),
        exceptions.InvalidResponse("Protocol Error: b'HTTP/1.1 400'"),
        exceptions.ConnectionError("refused"),
        ConnectionResetError("reset"),
    ],
    ids=lambda error: f"{type(error).__name__}-{str(error)[:12]}",
)
def test_a_server_that_refuses_for_now_is_unavailable(error: Exception) -> None:
    with pytest.raises(StoreUnavailable, match="add: "), translated("add"):
        raise error


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ClusterCrossSlotError("Keys in request don't hash to the same slot"),
        exceptions.RedisClusterException("EVALSHA - all keys must map to the same key slot"),
    ],
)
def test_keys_of_several_slots_are_a_wrong_prefix(error: Exception) -> None:
    with pytest.raises(ConfigError, match=r"prefix='{bull}'"), translated("add"):
        raise error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (exceptions.TimeoutError("slow"), StoreTimeout),
        (exceptions.ResponseError("WRONGTYPE Operation against a key"), WrongKeyType),
        (
            exceptions.ResponseError("Error running script: @user_script:7: READONLY_ is nil"),
            ScriptFailed,
        ),
        (
            exceptions.ResponseError(
                "user_script:7: attempt to index a nil value script: 0a, on @user_script:7."
            ),
            ScriptFailed,
        ),
        (
            exceptions.ResponseError(
                "value is not an integer or out of range script: 0a, on @user_script:7."
            ),
            ScriptFailed,
        ),
        (exceptions.ResponseError("Error compiling script (new function): 1: bad"), ScriptFailed),
        (exceptions.ResponseError("wrong number of arguments for 'zcard' command"), ScriptFailed),
        (exceptions.DataError("a value"), ScriptFailed),
    ],
)
def test_other_errors_keep_their_kinds(error: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught, translated("add"):
        raise error

    assert kind is type(caught.value)


def test_what_the_server_repeats_of_a_command_is_left_out() -> None:
    error = exceptions.ResponseError(
        "unknown command 'AUTH', with args beginning with: 'app' 's3cret' "
    )

    with pytest.raises(StoreUnavailable) as caught, translated("add"):
        raise error

    assert "add: the server refuses for now: unknown command 'AUTH'" == str(caught.value)
