"""``oxcart mail``: what a developer does with the e-mails."""

from __future__ import annotations

from pathlib import Path

import typer

from oxcart.mail.letterhead import Letterhead
from oxcart.mail.preview import write_previews
from oxcart.settings import Settings


def preview_mails(folder: Path | None) -> None:
    """Write the e-mails with example values to a folder, and print where they are.

    Args:
        folder: default: ``preview`` in the data folder.

    Raises:
        ConfigError: a setting or a template cannot work.
    """
    settings = Settings.from_env()
    letterhead = Letterhead.from_settings(settings)
    for email in write_previews(letterhead, folder or settings.data_dir / "preview"):
        typer.echo(f"{email.name}: {email.subject}")
        for path in email.paths:
            typer.echo(f"  {path}")
