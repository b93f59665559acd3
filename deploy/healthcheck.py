"""The health check of the container: whatever runs in it must be alive.

Every program of oxcart touches ``NAME.beat`` in ``OXCART_HEALTH_DIR`` every few seconds, from its
event loop: an old file is that of a program that hangs. The API's file holds its address, and its
health report must not be 503. Only the standard library is imported, so that a look is cheap.

Exits 0 when all is well, else 1 with a line that says what is wrong.
"""

from __future__ import annotations

import http.client
import os
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

STALE_S = 60
"""As old as a file may be: a loop may be kept busy for a while by a job's own code."""
REQUEST_S = 5
OK = 200
TOGETHER = ("api", "worker")
"""What ``oxcart all`` runs."""


def problems(folder: Path) -> list[str]:
    """Say what is wrong with the programs that keep a file in a folder."""
    beats = {path.stem: path for path in folder.glob("*.beat")}
    if not beats:
        return [f"no program has said in {folder} that it runs"]
    wanted = {*beats, *(TOGETHER if "all" in beats else ())}
    found = [problem(name, beats.get(name)) for name in sorted(wanted)]
    return [text for text in found if text]


def problem(name: str, beat: Path | None) -> str | None:
    """Say what is wrong with one program, if anything is."""
    if beat is None:
        return f"{name} has not said that it runs"
    try:
        age_s = time.time() - beat.stat().st_mtime
        url = beat.read_text(encoding="utf-8").strip()
    except OSError as error:
        return f"{name}: {error}"
    if age_s > STALE_S:
        return f"{name} was last alive {age_s:.0f} s ago"
    return f"{name}: {unwell}" if url and (unwell := ask(url)) else None


def ask(url: str) -> str | None:
    """Ask the API for its health; what is wrong with it, if anything is."""
    address = urlsplit(url)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.hostname or "", address.hostname)  # noqa: S104
    connection = http.client.HTTPConnection(host or "", address.port, timeout=REQUEST_S)
    try:
        connection.request("GET", "/api/health")
        answer = connection.getresponse()
        return None if answer.status == OK else answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"{url} does not answer: {error}"
    finally:
        connection.close()


if __name__ == "__main__":
    found = problems(Path(os.environ.get("OXCART_HEALTH_DIR", "/tmp/oxcart")))  # noqa: S108
    print("; ".join(found) or "healthy")
    sys.exit(bool(found))
