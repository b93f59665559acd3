"""What routes ask FastAPI for: the system, and who is calling."""

from typing import Annotated, cast

from fastapi import Depends, Request

from oxcart._auth.api_keys import Scope
from oxcart._auth.origins import SAFE_METHODS
from oxcart.database.types import Role as UserRole
from oxcart.database.users import User
from oxcart.http.auth import Authenticator, Caller, Role
from oxcart.http.bursts import Bursts
from oxcart.http.edge import AUDIT
from oxcart.http.fresh import Fresh
from oxcart.http.guesses import SHOWN_DIGITS, Guesses, credential_of
from oxcart.http.health import HealthProbe
from oxcart.http.incoming import Incoming, Reporter
from oxcart.http.jobs import Jobs
from oxcart.http.live.access import TICKET_CALLER, TICKET_PARAMETER, Access, Tickets
from oxcart.http.live.updates import LiveUpdates
from oxcart.http.metrics import MetricsProbe
from oxcart.http.problems import Kind, ProblemError
from oxcart.operations import SystemStatus
from oxcart.system import System

_NOT_AUDITED = frozenset({"/metrics"})
"""Read every few seconds by a machine, and without the data of any user."""


def _system(request: Request) -> System:
    return cast(System, request.app.state.system)


def _health_probe(request: Request) -> HealthProbe:
    return cast(HealthProbe, request.app.state.health)


def _jobs(request: Request) -> Jobs:
    return cast("Jobs", request.app.state.jobs)


def _live(request: Request) -> LiveUpdates:
    return cast("LiveUpdates", request.app.state.live)


def _queue_status(request: Request) -> Fresh[SystemStatus]:
    return cast("Fresh[SystemStatus]", request.app.state.queue_status)


def _tickets(request: Request) -> Tickets:
    return cast("Tickets", request.app.state.tickets)


async def authenticate(request: Request) -> Caller:
    """Find out who is calling, and note it for the log."""
    authenticator = cast(Authenticator, request.app.state.authenticator)
    guesses = cast(Guesses, request.app.state.guesses)
    guesses.check(request)
    try:
        caller = await authenticator.authenticate(request)
    except ProblemError as error:
        if error.problem.kind is Kind.UNAUTHENTICATED:
            guesses.refused(request)
        raise
    guesses.accepted(request)
    _note(request, caller)
    return caller


def _note(request: Request, caller: Caller) -> None:
    """Note for the request's log line who is calling; never a key, only a part of its digest."""
    credential = credential_of(request)
    request.scope["oxcart.caller"] = caller.role.value
    request.scope["oxcart.user"] = caller.user.id if caller.user else None
    request.scope["oxcart.key"] = credential[:SHOWN_DIGITS] if credential else None
    if _is_audited(request, caller):
        record_for_audit(request)


def _is_audited(request: Request, caller: Caller) -> bool:
    """Whether an operator asks for anything, or an administrator for more than to read."""
    if caller.is_operator:
        return request.scope["path"] not in _NOT_AUDITED
    is_administrator = caller.user is not None and caller.user.role == UserRole.ADMIN.value
    return is_administrator and request.method not in SAFE_METHODS


def record_for_audit(request: Request, **facts: object) -> None:
    """Have the request recorded for audits when it is answered, with these facts beside."""
    request.scope.setdefault(AUDIT, {}).update(facts)


def user_of(caller: Caller) -> User:
    """The user that a caller acts for.

    Raises:
        ProblemError: 401, the caller acts for nobody.
    """
    if caller.role is Role.SCOPED_KEY:
        raise _scope_needed(Scope.SERVICE, "a route that acts for a user")
    if caller.user is None and caller.has_key:
        raise ProblemError(Kind.NO_USER, "name the user to act for in the header X-Oxcart-User")
    if caller.user is None:
        detail = (
            "the database has no sample data, whose administrator requests without an API key act "
            "for: send a key, or let oxcart dev fill an empty data folder"
        )
        raise ProblemError(Kind.NO_USER, detail)
    return caller.user


async def access_of(request: Request) -> Access:
    """Find out by which credential or ticket a caller wants to follow a job."""
    given = request.query_params.getlist(TICKET_PARAMETER)
    if not given:
        caller = await authenticate(request)
        if not caller.is_operator:
            user_of(caller)
        return Access(caller=caller)
    if len(given) > 1:
        raise ProblemError(Kind.TICKET_INVALID, "the request carries more than one ticket")
    request.scope["oxcart.caller"] = TICKET_CALLER
    return await _tickets(request).accept(given[0])


async def _user(caller: Annotated[Caller, Depends(authenticate)]) -> User:
    return user_of(caller)


async def _key_holder(caller: Annotated[Caller, Depends(authenticate)]) -> Caller:
    if not caller.has_key:
        detail = "an operator key or a service key is needed"
        raise ProblemError(Kind.UNAUTHENTICATED, detail, www_authenticate="Bearer")
    return caller


def _scope_needed(scope: Scope, what: str) -> ProblemError:
    return ProblemError(
        Kind.FORBIDDEN, f"{what} needs a key with the scope {scope.value!r} or 'operator'"
    )


async def _event_reporter(caller: Annotated[Caller, Depends(_key_holder)]) -> Caller:
    if not caller.may(Scope.WEBHOOK) and not caller.may(Scope.SERVICE):
        raise _scope_needed(Scope.WEBHOOK, "the webhook")
    return caller


async def _burst_runner(caller: Annotated[Caller, Depends(_key_holder)]) -> Caller:
    if not caller.may(Scope.BURST):
        raise _scope_needed(Scope.BURST, "a burst")
    return caller


async def _operator(caller: Annotated[Caller, Depends(_key_holder)]) -> Caller:
    if not caller.is_operator:
        raise ProblemError(Kind.FORBIDDEN, "an operator key is needed")
    return caller


def _incoming(request: Request) -> Incoming:
    return cast(Incoming, request.app.state.incoming)


async def _reporter(request: Request) -> Reporter:
    incoming = _incoming(request)
    if not incoming.is_signed(request):
        await _event_reporter(await _key_holder(await authenticate(request)))
        return Reporter()
    if credential_of(request) is not None:  # a key that is sent as well must be right
        await _event_reporter(await _key_holder(await authenticate(request)))
    return await incoming.verify(request)


def _bursts(request: Request) -> Bursts:
    return cast(Bursts, request.app.state.bursts)


def _metrics_probe(request: Request) -> MetricsProbe:
    return cast(MetricsProbe, request.app.state.metrics)


async def _watcher(caller: Annotated[Caller, Depends(authenticate)]) -> Caller:
    # In development also the programs on this machine.
    if not caller.may(Scope.METRICS) and caller.role is not Role.DEFAULT_USER:
        raise _scope_needed(Scope.METRICS, "/metrics")
    return caller


async def _status_reader(caller: Annotated[Caller, Depends(authenticate)]) -> Caller:
    if not caller.is_operator and caller.role is not Role.DEFAULT_USER:
        raise ProblemError(Kind.FORBIDDEN, "the status of the queues needs an operator's key")
    return caller


CurrentSystem = Annotated[System, Depends(_system)]
CurrentHealthProbe = Annotated[HealthProbe, Depends(_health_probe)]
CurrentIncoming = Annotated[Incoming, Depends(_incoming)]
CurrentReporter = Annotated[Reporter, Depends(_reporter)]
CurrentJobs = Annotated[Jobs, Depends(_jobs)]
CurrentCaller = Annotated[Caller, Depends(authenticate)]
CurrentUser = Annotated[User, Depends(_user)]
Operator = Annotated[Caller, Depends(_operator)]
BurstRunner = Annotated[Caller, Depends(_burst_runner)]
StatusReader = Annotated[Caller, Depends(_status_reader)]
Watcher = Annotated[Caller, Depends(_watcher)]
CurrentMetricsProbe = Annotated[MetricsProbe, Depends(_metrics_probe)]
CurrentBursts = Annotated[Bursts, Depends(_bursts)]
CurrentAccess = Annotated[Access, Depends(access_of)]
CurrentLive = Annotated[LiveUpdates, Depends(_live)]
CurrentTickets = Annotated[Tickets, Depends(_tickets)]
CurrentQueueStatus = Annotated[Fresh[SystemStatus], Depends(_queue_status)]
