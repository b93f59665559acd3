"""Plays a Dockerfile's own instructions without a container engine.

A folder stands for the root of the file system: absolute paths of the file are taken below it. A
clean virtual environment stands for the base image, whose ``python`` and ``pip`` it has. Each stage
begins with an empty root, so the last one holds what it copied and nothing that was lying around.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pip
from tests.integration.deploy.dockerfile import Context, Instruction

if TYPE_CHECKING:
    from collections.abc import Iterator

NOT_PLAYED = {
    "ARG": "names the base image, and a virtual environment stands for that",
    "EXPOSE": "says a port to an engine",
    "STOPSIGNAL": "tells an engine what the test does itself",
    "USER": "there is no such user on this machine; a test of the file holds that it is not root",
    "VOLUME": "is a folder",
}
RUN_ELSEWHERE = {"useradd": "makes a user of the image, not of this machine"}
STEP_S = 300
_ABSOLUTE = re.compile(r"(?<![\w.:/$}])/(?=\w)")


class Image:
    """The last stage, as it would be run.

    Args:
        folder: where the stages are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.env: dict[str, str] = {}
        self.entrypoint: list[str] = []
        self.command: list[str] = []
        self.healthcheck: list[str] = []
        self.user = ""
        self._folder = folder
        self._base = folder / "base"
        self._workdir = self.root
        self._stages: dict[str, Path] = {}
        self._stage = ""
        self._context = Context()

    def play(self, steps: Iterable[Instruction]) -> None:
        """Play all instructions.

        Raises:
            AssertionError: one is not known here, or its command failed.
        """
        self._make_base()
        players: dict[str, Callable[[Instruction], None]] = {
            "FROM": self._from,
            "ENV": self._env,
            "WORKDIR": self._change_folder,
            "RUN": self._run,
            "COPY": self._copy,
            "HEALTHCHECK": self._note_healthcheck,
            "ENTRYPOINT": self._note_entrypoint,
            "CMD": self._note_command,
        }
        for step in steps:
            if step.name == "USER":
                self.user = step.text
            if step.name not in NOT_PLAYED:
                assert step.name in players, f"{step.name} cannot be played"
                players[step.name](step)

    def _make_base(self) -> None:
        """Make an environment with nothing but pip in it; its own way to install pip is slow."""
        make = [sys.executable, "-m", "venv", "--without-pip", str(self._base)]
        subprocess.run(make, check=True, timeout=STEP_S)
        shutil.copytree(
            Path(pip.__file__).parent, next(self._base.glob("lib/*/site-packages")) / "pip"
        )
        program = self._base / "bin" / "pip"
        program.write_text(
            f"#!{self._base}/bin/python\nfrom pip._internal.cli.main import main\nmain()\n"
        )
        program.chmod(0o755)

    def below(self, text: str) -> str:
        """The text with its absolute paths taken below the root."""
        return _ABSOLUTE.sub(f"{self.root}/", text)

    def environment(self, **settings: str) -> dict[str, str]:
        """What a program of the image sees: nothing of the test's own environment."""
        return self.env | {"HOME": str(self.root / "data")} | settings

    @contextmanager
    def running(
        self, *command: str, log: Path, **settings: str
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run the entry point with a command; it is killed at the end if it still runs."""
        env = self.environment(**settings)
        words = [*self.entrypoint, *(command or self.command)]
        program = shutil.which(words[0], path=env["PATH"])
        assert program is not None, f"{words[0]} is not on the image's PATH"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [program, *words[1:]],
                env=env,
                cwd=self._workdir,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()

    def check_health(self) -> subprocess.CompletedProcess[str]:
        """Run the command of the health check, as an engine does in the container."""
        env = self.environment()
        program = shutil.which(self.healthcheck[0], path=env["PATH"])
        assert program is not None
        command = [program, *(self.below(word) for word in self.healthcheck[1:])]
        return subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=60, check=False
        )

    def files(self) -> dict[str, tuple[int, int]]:
        """Each file outside of the two folders that may be written: its size and time.

        Compiled modules are left out: where Python cannot keep them it goes on without.
        """
        free = (self.root / "data", self.root / "tmp")
        return {
            str(path): (path.lstat().st_size, path.lstat().st_mtime_ns)
            for path in self.root.rglob("*")
            if not any(path.is_relative_to(folder) for folder in free)
            and "__pycache__" not in str(path)
        }

    def _from(self, step: Instruction) -> None:
        if self.root.exists():
            self._stages[self._stage] = self.root.rename(self._folder / f"stage-{self._stage}")
        (self.root / "tmp").mkdir(parents=True)
        _, _, self._stage = step.text.partition(" AS ")
        self.env = {"PATH": f"{self._base / 'bin'}:/usr/bin:/bin"}
        self._workdir = self.root

    def _env(self, step: Instruction) -> None:
        for name, value in re.findall(r"(\w+)=(\S+)", step.text):
            before = self.env.get(name, "")
            self.env[name] = self.below(value).replace(f"${name}", before)

    def _change_folder(self, step: Instruction) -> None:
        self._workdir = Path(self.below(step.text))
        self._workdir.mkdir(parents=True, exist_ok=True)

    def _run(self, step: Instruction) -> None:
        if step.text.split()[0] in RUN_ELSEWHERE:
            return
        # pip's cache and the places where it finds packages are those of the tests. What it would
        # compile, the programs compile when they first run: only what they need, which is quicker.
        outside = os.environ | {"PIP_NO_COMPILE": "1"}
        outside.pop("PYTHONPATH", None)
        done = subprocess.run(
            ["/bin/sh", "-ec", self.below(step.text)],
            env=outside | self.env,
            cwd=self._workdir,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=STEP_S,
            check=False,
        )
        assert done.returncode == 0, f"RUN {step.text}\n{done.stdout}{done.stderr}"

    def _copy(self, step: Instruction) -> None:
        *sources, target = step.words()
        destination = Path(self.below(target)) if target[0] == "/" else self._workdir / target
        stage = step.flag("from")
        for source in sources:
            if stage is not None:
                shutil.copytree(self._stages[stage] / source[1:], destination, symlinks=True)
            else:
                self._copy_from_context(source, destination, is_folder=target.endswith("/"))
        if (mode := step.flag("chmod")) is not None:
            destination.chmod(int(mode, 8))

    def _copy_from_context(self, source: str, destination: Path, *, is_folder: bool) -> None:
        for path, below in self._context.files(source):
            is_one_file = below.name == Path(source).name and len(below.parts) == 1
            target = destination if is_one_file and not is_folder else destination / below
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)

    def _note_healthcheck(self, step: Instruction) -> None:
        _, command = step.text.split("CMD ", 1)
        self.healthcheck = Instruction("CMD", (), command).words()

    def _note_entrypoint(self, step: Instruction) -> None:
        self.entrypoint = step.words()

    def _note_command(self, step: Instruction) -> None:
        self.command = step.words()
