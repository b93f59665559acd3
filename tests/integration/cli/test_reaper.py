"""What becomes of processes whose parent has died, where the command is a container's first."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from oxcart.cli.reaper import reap

PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # strangers come here as they come to process 1


def state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "gone"


def wait_for(pid, wanted):
    while state(pid) != wanted:
        time.sleep(0.01)


start = "import subprocess as s; print(s.Popen(['sleep', '60'], stdout=s.DEVNULL).pid)"
stranger = int(subprocess.run([sys.executable, "-c", start], stdout=subprocess.PIPE).stdout)
os.kill(stranger, signal.SIGKILL)
wait_for(stranger, "Z")
own = subprocess.Popen(["sleep", "60"])

reap({own.pid})
print("stranger", state(stranger))
own.kill()
wait_for(own.pid, "Z")
reap({own.pid})
print("own", state(own.pid), own.wait())
"""


def test_strangers_leave_the_table_and_own_processes_are_left_to_who_waits_for_them() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=60
    )

    assert "stranger gone\nown Z -9\n" == done.stdout, done.stderr
