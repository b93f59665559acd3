"""The demo from start to end."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from oxcart.cli.demo.exports import write_exports
from oxcart.cli.demo.mails import send_mails
from oxcart.cli.demo.report import print_exports, print_mails, print_retries
from oxcart.cli.demo.retries import run_retries
from oxcart.cli.demo.stage import Stage, open_stage

FOLDER = Path(".oxcart") / "demo"


async def run_demo() -> int:
    """Play the demo.

    Returns:
        The exit code: 0 if everything was as expected, else 1.
    """
    console = Console()
    started_at = time.monotonic()
    console.print("[bold]oxcart demo[/]: starting Valkey, SQLite, API and worker ...")
    async with open_stage(FOLDER.resolve()) as stage:
        console.print(f"  API {stage.settings.base_url}, everything kept in {FOLDER}")
        is_good = await _play(stage, console)
    seconds = time.monotonic() - started_at
    verdict = "[green]everything as expected[/]" if is_good else "[red]something was not right[/]"
    console.print(f"{verdict} in {seconds:.1f} s")
    return 0 if is_good else 1


async def _play(stage: Stage, console: Console) -> bool:
    console.print("sending four e-mails ...")
    mails = await send_mails(stage.settings)
    console.print("asking for four exports ...")
    exports = await write_exports(stage, console)
    console.print("running two jobs that fail at first ...")
    retries = await run_retries(stage)
    health = (await stage.http.get("/api/health")).json()
    print_mails(console, mails)
    print_exports(console, exports)
    print_retries(console, retries)
    checks = ", ".join(f"{name} {check['status']}" for name, check in health["checks"].items())
    console.print(f"health: [bold]{health['status']}[/] ({checks})")
    found = [mail.is_expected for mail in mails]
    found += [export.is_expected for export in exports]
    found += [job.is_expected for job in retries]
    return all(found) and health["status"] == "healthy"
