"""Checks the locked packages: known vulnerabilities, and releases that were withdrawn.

Vulnerabilities come from the service that ``pip-audit`` asks. Where a registry without advisories
stands in its place, as in closed networks, they are reported as not checked, which is no failure
unless ``--strict`` is given. Withdrawn ("yanked") releases come from the package index itself.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCKED = ROOT / "requirements/run.txt"
TIMEOUT_S = 300


def main() -> int:
    """Run both checks; returns 1 if one found something."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--strict", action="store_true", help="fail if advisories could not be read"
    )
    strict = parser.parse_args().strict
    problems = yanked_releases()
    found, unchecked, count = vulnerabilities()
    problems += found
    for line in problems:
        print(f"audit: {line}")
    if unchecked:
        print(
            f"audit: {len(unchecked)} of {count} packages were not checked for vulnerabilities: "
            "the package index here gives no advisories for them"
        )
    else:
        print(f"audit: {count} packages checked for vulnerabilities")
    return 1 if problems or (strict and unchecked) else 0


def yanked_releases() -> list[str]:
    """Return a line for each locked release that its authors have withdrawn."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        _run(
            *("-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"),
            *("--dry-run", "--no-deps", "--ignore-installed", "--require-hashes"),
            *("--requirement", str(LOCKED), "--report", report.name),
        )
        items = json.loads(Path(report.name).read_text())["install"]
    return [f"{_named(item['metadata'])} was withdrawn" for item in items if item["is_yanked"]]


def vulnerabilities() -> tuple[list[str], list[str], int]:
    """Return a line a vulnerability, the names of packages not checked, and the number of all."""
    output = _run(
        *("-m", "pip_audit", "--format", "json", "--progress-spinner", "off"),
        *("--disable-pip", "--require-hashes", "--requirement", str(LOCKED)),
        accepted=(0, 1),
    )
    packages: list[dict[str, Any]] = json.loads(output)["dependencies"]
    unchecked = [package["name"] for package in packages if "skip_reason" in package]
    found = [
        f"{_named(package)} has {flaw['id']}; fixed in {', '.join(flaw['fix_versions']) or 'none'}"
        for package in packages
        for flaw in package.get("vulns", [])
    ]
    return found, unchecked, len(packages)


def _named(package: dict[str, Any]) -> str:
    return f"{package['name']} {package['version']}"


def _run(*words: str, accepted: tuple[int, ...] = (0,)) -> str:
    """Run a module of this Python; returns its output.

    Raises:
        SystemExit: it ended with another exit code.
    """
    ended = subprocess.run(  # noqa: S603  # our own words
        [sys.executable, *words], check=False, capture_output=True, text=True, timeout=TIMEOUT_S
    )
    if ended.returncode not in accepted:
        sys.exit(f"audit: {' '.join(words[:3])} failed:\n{ended.stderr[-2000:]}")
    return ended.stdout


if __name__ == "__main__":
    sys.exit(main())
