"""Jobs in SQS instead of Redis: what sends them.

``oxcart.serverless`` runs them in Lambda.
"""

from oxcart.sqs.addresses import SqsAddress, parse_addresses
from oxcart.sqs.broker import SqsBroker, broker_from_env
from oxcart.sqs.errors import NotAllSent, NotInSqs

__all__ = [
    "NotAllSent",
    "NotInSqs",
    "SqsAddress",
    "SqsBroker",
    "broker_from_env",
    "parse_addresses",
]
