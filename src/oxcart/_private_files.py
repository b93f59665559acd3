"""Folders and files that only their owner may read: the data folder and what is in it.

Everything is made with the modes 0700 and 0600, whatever the umask. A data folder of an earlier
version, or one that was made by hand, is tightened when a program opens it.
"""

from __future__ import annotations

import logging
import os
import stat
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

log = logging.getLogger("oxcart.files")

FOLDER_MODE = 0o700
FILE_MODE = 0o600
_OTHERS = 0o077
"""Rights of the group and of everybody else."""
_EVERYBODY = 0o007
_OWN_NAMES = frozenset(
    {
        *("valkey", "mailbox", "exports", "demo", "downloads", "signing-secret", ".gitignore"),
        *("oxcart.db", "oxcart.db-wal", "oxcart.db-shm", "oxcart.db-journal"),
        "made-by-oxcart-demo",
    }
)
"""Names of everything that oxcart keeps in a data folder."""
_OWN_PREFIX = ".signing-secret."


def make_private_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter, and the missing ones above it.

    A folder that is there already is left as it is.
    """
    missing = []
    for level in (folder, *folder.parents):
        if level.exists():
            break
        missing.append(level)
    for level in reversed(missing):
        level.mkdir(mode=FOLDER_MODE, exist_ok=True)
    if not missing and not folder.is_dir():
        folder.mkdir(mode=FOLDER_MODE)  # raises the error that says why it cannot be one


def make_private_file(path: Path, *, companions: Iterable[str] = ()) -> None:
    """Make an empty file for its owner alone, or take the rights of everybody else off one.

    The group of a file that is there keeps its rights: another program may share the file.

    Args:
        path: the file; its folder is there.
        companions: what the names of files beside it end with, which hold parts of it.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
    except FileExistsError:
        for one in (path, *(path.with_name(path.name + ending) for ending in companions)):
            _tighten(one, _EVERYBODY)
    except OSError:
        pass  # whoever opens the file says what is wrong


def tighten_data_folder(folder: Path) -> None:
    """Take everybody else's rights off a data folder that is there, and off what is in it.

    Only what belongs to this user is changed. A folder that holds other things too, such as a home
    folder, keeps its own mode; then what oxcart keeps in it is tightened alone.
    """
    try:
        status = folder.stat()
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return  # not there, or not for us: whoever uses it says so
    own = [name for name in names if name in _OWN_NAMES or name.startswith(_OWN_PREFIX)]
    is_data_folder = len(own) == len(names) and not status.st_mode & stat.S_ISVTX
    if is_data_folder and _tighten(folder.resolve(), _OTHERS):
        log.warning(
            "data_folder.tightened",
            extra={"folder": str(folder), "mode": f"{stat.S_IMODE(status.st_mode):04o}"},
        )
    elif stat.S_IMODE(status.st_mode) & _OTHERS:
        _note_shared(folder)
    for name in own:
        _tighten_tree(folder / name)


@cache
def _note_shared(folder: Path) -> None:
    """Log once a process that others may enter the folder."""
    log.warning("data_folder.shared", extra={"folder": str(folder)})


def _tighten_tree(top: Path) -> None:
    """Tighten a file, or a folder that others may enter with all that is in it."""
    if not _tighten(top, _OTHERS) or top.is_symlink() or not top.is_dir():
        return
    for folder, folders, files in os.walk(top):
        for name in (*folders, *files):
            _tighten(Path(folder, name), _OTHERS)


def _tighten(path: Path, rights: int) -> bool:
    """Take rights off a file or folder of this user; whether there were any."""
    with suppress(OSError):
        status = path.lstat()
        mode = stat.S_IMODE(status.st_mode)
        is_ours = status.st_uid == os.geteuid() and not stat.S_ISLNK(status.st_mode)
        if is_ours and mode & rights:
            path.chmod(mode & ~rights)
            return True
    return False
