"""The HTTP API of the built-in system: ``create_app`` builds it, ``serve`` runs it."""

from oxcart.http.app import create_app
from oxcart.http.server import serve

__all__ = ["create_app", "serve"]
