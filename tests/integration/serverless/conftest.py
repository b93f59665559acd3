from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from tests.integration.serverless.aws import AwsServer, serving

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient


@pytest.fixture(scope="session")
def aws() -> Iterator[AwsServer]:
    """SQS for the whole session."""
    with serving() as server:
        yield server


@pytest.fixture
def sqs(aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[SQSClient]:
    """A client of SQS; boto3's own variables lead there too."""
    for name, value in aws.environ.items():
        monkeypatch.setenv(name, value)
    client = aws.client()
    yield client
    client.close()
