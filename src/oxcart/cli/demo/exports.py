"""The four exports, through the HTTP API, with live progress."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from oxcart._private_files import make_private_file, make_private_folder
from oxcart.cli.demo.stage import Stage

PATIENCE_S = 60.0
WANTED = (
    ("USER_DATA", "user_student"),
    ("WIKI_PAGES", "user_staff"),
    ("MEMBERS", "user_staff"),
    ("ANALYTICS", "user_student"),
)
"""Each export with the user who asks for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredExport:
    """An export that was downloaded.

    Attributes:
        type: which.
        path: the downloaded file.
        rows: data rows found in it.
        size_bytes: its size.
        seconds: from the request to the row saying COMPLETED.
        is_expected: whether the file holds as many rows as the job said.
    """

    type: str
    path: Path
    rows: int
    size_bytes: int
    seconds: float
    is_expected: bool


async def write_exports(stage: Stage, console: Console) -> list[DeliveredExport]:
    """Ask for the four exports at once, follow them, download their files."""
    columns = (
        TextColumn("  {task.description:<12}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        MofNCompleteColumn(),
        TextColumn("rows {task.fields[phase]}"),
    )
    with Progress(*columns, console=console) as progress:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_export(stage, progress, type_, user)) for type_, user in WANTED
            ]
    return [task.result() for task in tasks]


async def _export(stage: Stage, progress: Progress, type_: str, user: str) -> DeliveredExport:
    bar = progress.add_task(type_, total=None, phase="waiting")
    user_header = {"X-Oxcart-User": user}
    started_at = time.monotonic()
    answer = await stage.http.post("/api/exports", json={"type": type_}, headers=user_header)
    answer.raise_for_status()
    export_id = answer.json()["exportJob"]["id"]
    async with asyncio.timeout(PATIENCE_S):
        status = await _follow(stage.http, progress, bar, export_id)
        export = await _completed(stage.http, export_id, user_header)
    seconds = time.monotonic() - started_at
    path = await _download(stage, export["fileUrl"], export_id)
    rows = count_rows(path)
    said = status.get("progressDetails", {}).get("rows")
    return DeliveredExport(
        type=type_,
        path=path,
        rows=rows,
        size_bytes=path.stat().st_size,
        seconds=seconds,
        is_expected=status["state"] == "completed" and rows == said,
    )


async def _follow(
    http: httpx2.AsyncClient, progress: Progress, bar: TaskID, job_id: str
) -> dict[str, Any]:
    """Show a job's progress until it is finished; its last status."""
    while True:
        answer = await http.get(f"/api/queues/status/{job_id}")
        answer.raise_for_status()
        status: dict[str, Any] = answer.json()
        reported = status.get("progressDetails")
        if isinstance(reported, dict):
            progress.update(
                bar,
                completed=reported["rows"],
                total=max(1, reported["total"]),
                phase=reported["phase"],
            )
        if status["state"] in ("completed", "failed"):
            return status
        await asyncio.sleep(0.05)


async def _completed(
    http: httpx2.AsyncClient, export_id: str, user: dict[str, str]
) -> dict[str, Any]:
    answer = await http.get(f"/api/exports/{export_id}", headers=user)
    answer.raise_for_status()
    export: dict[str, Any] = answer.json()["export"]
    if export["status"] != "COMPLETED":
        raise RuntimeError(f"export {export_id} is {export['status']}, not COMPLETED")
    return export


async def _download(stage: Stage, url: str, export_id: str) -> Path:
    """Fetch a file by its signed link, without any key."""
    folder = stage.folder / "downloads"
    make_private_folder(folder)
    async with (
        httpx2.AsyncClient(timeout=30, trust_env=False) as anyone,
        anyone.stream("GET", url) as answer,
    ):
        answer.raise_for_status()
        disposition = answer.headers["Content-Disposition"]
        name = disposition.split('filename="')[1].split('"')[0]
        path = folder / f"{export_id[-6:]}-{name}"
        make_private_file(path)
        with path.open("wb") as file:
            async for chunk in answer.aiter_bytes():
                file.write(chunk)
    return path


def count_rows(path: Path) -> int:
    """Count the data rows of a downloaded export."""
    match path.suffix:
        case ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                return sum(1 for _ in csv.reader(file)) - 1
        case ".zip":
            with zipfile.ZipFile(path) as archive:
                return sum(
                    sum(1 for _ in csv.reader(io.TextIOWrapper(archive.open(name), "utf-8"))) - 1
                    for name in archive.namelist()
                    if name.endswith(".csv")
                )
        case _:
            content = json.loads(path.read_text(encoding="utf-8"))
            return len(content) if isinstance(content, list) else 1
