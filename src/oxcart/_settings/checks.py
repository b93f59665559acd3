"""What must be right before a program starts: everything that is wrong is told at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from oxcart._settings.names import misspelt, taken_for, unheard_of
from oxcart._settings.notes import notes_of
from oxcart._settings.rules import Needs, problems_of
from oxcart._settings.server_security import insecure_servers
from oxcart._settings.start_mode import (
    NODE_VARIABLE,
    VARIABLE,
    is_decided_by_node,
    without_foreign_mode,
)
from oxcart._settings.values import Problem, refusal
from oxcart.settings import ENVIRONMENT, Settings, read_environment

PROGRAMS: dict[str, Needs] = {
    "api": Needs(http=True),
    "worker": Needs(mail=True, takes_jobs=True),
    "all": Needs(mail=True, http=True, takes_jobs=True),
    "dev": Needs(mail=True, http=True, takes_jobs=True, is_for_development=True),
    "status": Needs(signing=False),
    "queues": Needs(database=False, signing=False),
    "migrate": Needs(redis=False, signing=False),
    "exports": Needs(redis=False, signing=False),
    "keys": Needs(redis=False, signing=False),
    "webhooks": Needs(redis=False, signing=False),
    "function in Lambda": Needs(mail=True),
    "worker of an application": Needs(redis=False, database=False, signing=False),
}
"""What each command needs; an application's own worker gets its servers from the application."""


_MODE_REASON = "this runs in production, because NODE_ENV is 'production'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What the environment holds.

    Attributes:
        settings: what was read; a setting that is wrong has its default.
        problems: what keeps the program from starting.
        unreadable: the problems of values that could not be read at all.
        mode_reason: why this is production, where ``OXCART_ENV`` does not say so.
        notes: what is worth knowing, in sentences.
    """

    settings: Settings
    problems: tuple[Problem, ...]
    unreadable: tuple[Problem, ...]
    mode_reason: str | None
    notes: tuple[str, ...]


def refuse_problems(findings: Findings) -> None:
    """Refuse to start when something is wrong.

    Raises:
        ConfigError: naming every variable that is wrong, missing, misspelt or contradicts
            another, what it holds and what it wants.
    """
    if findings.problems:
        raise refusal(findings.problems, because=findings.mode_reason)


def examine(needs: Needs, environ: Mapping[str, str] | None = None) -> Findings:
    """Read the settings and find all that is wrong, without raising anything."""
    environ = without_foreign_mode(os.environ if environ is None else environ)
    values, unreadable = read_environment(environ)
    settings = Settings(**values)
    known = {name for names in ENVIRONMENT.values() for name in names}
    # A value that cannot be read was told already; to call it missing as well would be wrong.
    told = {problem.variable for problem in unreadable}
    insecure = tuple(
        problem
        for problem in insecure_servers(
            settings, environ, redis=needs.redis, database=needs.database
        )
        if problem.variable not in told
    )
    is_required = settings.server_security == "require"
    found = (
        *(insecure if is_required else ()),
        *problems_of(settings, needs),
        *_owner_problems(settings, needs),
        *_template_problems(settings, needs),
    )
    return Findings(
        settings=settings,
        problems=(
            *unreadable,
            *(_with_hint(item, environ, known) for item in found if item.variable not in told),
            *misspelt(environ, known),
        ),
        unreadable=tuple(unreadable),
        mode_reason=_MODE_REASON if is_decided_by_node(environ) else None,
        notes=(
            *notes_of(settings, needs, environ),
            *(() if is_required else map(str, insecure)),
            *(f"{name} is no setting of this version" for name in unheard_of(environ, known)),
        ),
    )


def _with_hint(problem: Problem, environ: Mapping[str, str], known: set[str]) -> Problem:
    """Name the variable that was probably meant, or that made this production."""
    if problem.variable == VARIABLE and is_decided_by_node(environ):
        return Problem(NODE_VARIABLE, problem.text)
    if environ.get(problem.variable, "").strip():
        return problem
    taken = taken_for(problem.variable, environ, known)
    if taken is None:
        return problem
    return Problem(problem.variable, f"{problem.text}; {taken} is set, did you mean that?")


def _owner_problems(settings: Settings, needs: Needs) -> Iterator[Problem]:
    """A run as another user, root above all, would lock the folder's owner out of it.

    Only a private Valkey needs the folder for its own: jobs in SQS or in a server do not.
    """
    if not needs.redis or settings.redis_url is not None or settings.broker != "redis":
        return
    try:
        owner = settings.data_dir.stat().st_uid
    except OSError:
        return
    if owner != os.geteuid():
        yield Problem(
            "OXCART_DATA_DIR",
            f"is {str(settings.data_dir)!r}, which belongs to user {owner}, and this runs as user "
            f"{os.geteuid()}: run it as that user, or name another folder",
        )


def _template_problems(settings: Settings, needs: Needs) -> Iterator[Problem]:
    """Templates of the site's own; the API needs them as well, as it sends mails without Redis."""
    folder = settings.mail_templates
    if folder is None or not (needs.mail or needs.http):
        return
    if find_spec("jinja2") is None or find_spec("css_inline") is None:
        return
    # Imported here: most programs read their settings without e-mail's libraries.
    from oxcart.mail.templates import TemplatesRefused, load_templates

    try:
        load_templates(folder)
    except TemplatesRefused as error:
        lines = "".join(f"\n    {problem}" for problem in error.problems)
        yield Problem(
            "OXCART_MAIL_TEMPLATES", f"is {str(folder)!r}, whose templates cannot be used:{lines}"
        )
