"""``oxcart exports sweep``: files that nobody may download any more are removed now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tests.integration.cli.programs import environment, run
from tests.integration.http.running import ADA, add_users, make_settings

from oxcart.database import Database, ExportStatus
from oxcart.database.ids import new_id
from oxcart.database.tables import export_job

if TYPE_CHECKING:
    from pathlib import Path


async def test_sweep_removes_what_is_due_and_says_how_much(tmp_path: Path) -> None:
    data = tmp_path / "data"
    ids = [new_id() for _ in range(3)]
    settings = make_settings(data)
    async with Database.from_settings(settings) as database:
        await database.migrate()
        await add_users(database)
        rows = [
            {
                "id": export_id,
                "userId": ADA,
                "type": "ANALYTICS",
                "status": ExportStatus.COMPLETED,
                "fileUrl": f"https://club.example/api/exports/{export_id}/file",
                "createdAt": datetime.now(UTC) - timedelta(days=9),
                "completedAt": datetime.now(UTC) - timedelta(hours=hours),
            }
            for export_id, hours in zip(ids, (13, 11), strict=False)
        ]
        async with database.write() as connection:
            await connection.execute(export_job.insert(), rows)
    (data / "exports").mkdir()
    for export_id in ids:
        (data / "exports" / f"{export_id}.json").write_text("{}")
    url = settings.database_url
    assert url is not None
    env = environment(tmp_path, DATABASE_URL=url, OXCART_EXPORT_DAYS="0.5")

    first, second = run("exports", "sweep", env=env), run("exports", "sweep", env=env)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert first.stdout.startswith("1 exports expired, 1 files without an export removed, ")
    assert second.stdout.startswith("0 exports expired, 0 files without an export removed, ")
    assert [path.name for path in (data / "exports").iterdir()] == [f"{ids[1]}.json"]
