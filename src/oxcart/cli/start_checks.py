"""What every command does first: read the settings, and refuse those that cannot work."""

from __future__ import annotations

import logging

from oxcart._settings.checks import PROGRAMS, examine, refuse_problems
from oxcart.settings import Settings

log = logging.getLogger("oxcart.settings")


def read_settings(program: str) -> tuple[Settings, tuple[str, ...]]:
    """Read the settings of a command.

    Args:
        program: the command, one of ``PROGRAMS``.

    Returns:
        The settings, and what is worth telling about them.

    Raises:
        ConfigError: naming every variable that is wrong, missing, misspelt or contradicts
            another, what it holds and what it wants.
    """
    findings = examine(PROGRAMS[program])
    refuse_problems(findings)
    return findings.settings, findings.notes


def log_notes(notes: tuple[str, ...]) -> None:
    """Log what is worth knowing about the settings."""
    for note in notes:
        log.warning("settings.note", extra={"note": note})
