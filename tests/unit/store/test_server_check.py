from __future__ import annotations

import pytest

from oxcart._store.server_check import check_version
from oxcart.errors import ConfigError


@pytest.mark.parametrize("version", ["6.0.16", "5.0.14", "6.1.240", "2.8"])
def test_a_redis_that_is_too_old_is_refused(version: str) -> None:
    with pytest.raises(ConfigError, match=f"is Redis {version}; oxcart needs Redis 6.2"):
        check_version({"redis_version": version, "redis_mode": "standalone"})


@pytest.mark.parametrize(
    "version", ["6.2.0", "6.10.1", "7.0.15", "7.2.4", "8.2.1", "10.0", "x", ""]
)
def test_newer_ones_and_strangers_are_not(version: str) -> None:
    check_version({"redis_version": version, "redis_mode": "standalone"})
    check_version({})
