"""The HTTP API: ``create_app`` builds the built-in system's, ``serve`` runs it.

``queue_api`` builds one for the queues of an application of your own.
"""

from oxcart._auth.identity import CredentialRejected, Identity
from oxcart.http.app import create_app
from oxcart.http.queue_api import queue_api
from oxcart.http.server import serve

__all__ = ["CredentialRejected", "Identity", "create_app", "queue_api", "serve"]
