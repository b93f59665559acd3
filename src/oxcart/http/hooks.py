"""Authentication by code of the application: a hook, or a proxy that has logged the user in."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from oxcart._auth.identity import CredentialRejected, Identity
from oxcart.errors import ConfigError
from oxcart.http.proxies import IS_PROXIED

if TYPE_CHECKING:
    from starlette.requests import Request

    Hook = Callable[[Request], Identity | Awaitable[Identity | None] | None]


def load_hook(path: str) -> Hook:
    """Import a hook.

    Args:
        path: ``module:attribute``; modules of the working directory are found.

    Raises:
        ConfigError: it cannot be imported, or is not callable.
    """
    module_name, _, attribute = path.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        hook = getattr(importlib.import_module(module_name), attribute)
    # Whatever the application's own code raises while it is imported is a wrong setting.
    except Exception as error:
        cause = f"{type(error).__name__}: {error}"
        raise ConfigError(f"OXCART_AUTH_HOOK is {path!r}, and {cause}") from error
    if not callable(hook):
        raise ConfigError(f"OXCART_AUTH_HOOK is {path!r}, which is not callable")
    found: Hook = hook
    return found


async def ask_hook(hook: Hook, request: Request) -> Identity | None:
    """Return what a hook answers.

    Raises:
        TypeError: it is neither an identity nor None.
    """
    answer = hook(request)
    if inspect.isawaitable(answer):
        answer = await answer
    if answer is not None and not isinstance(answer, Identity):
        raise TypeError(
            f"the hook for authentication returned {type(answer).__name__}: "
            "expected oxcart.http.Identity or None"
        )
    return answer


def user_of_proxy(request: Request, header: str) -> Identity | None:
    """Return the user that a trusted proxy names, or None without that header.

    Args:
        request: the request.
        header: the header in which the proxy names the user by id or by e-mail address.

    Raises:
        CredentialRejected: the header did not come from a trusted proxy, or more than once.
    """
    values = request.headers.getlist(header)
    if not values:
        return None
    if IS_PROXIED not in request.scope:
        raise CredentialRejected(f"{header} is believed only from OXCART_TRUSTED_PROXIES")
    value = values[0].strip()
    if len(values) > 1 or not value:
        raise CredentialRejected(f"{header} is empty, or was sent more than once")
    return Identity(email=value) if "@" in value else Identity(user_id=value)
