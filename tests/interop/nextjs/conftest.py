from __future__ import annotations

import pytest
from tests.interop.live.runtime import RuntimeMissing
from tests.interop.sessions.installation import NodeHome, install


@pytest.fixture(scope="session")
def node_home() -> NodeHome:
    """Both majors of NextAuth."""
    try:
        return install()
    except RuntimeMissing as missing:
        pytest.skip(str(missing))
