"""A private Valkey server in a data folder, for whoever has no Redis.

The rules, which hold whatever is killed when:

- One server a folder. While it lives it holds the lock ``server.lock``, which it inherits from the
  process that starts it; nobody starts a server without having that lock first.
- One owner a server: the process that holds ``owner.lock``. The owner alone writes
  ``server.json`` (how to reach the server) and starts the server again if it dies.
- Other processes that name the folder join: they share ``users.lock`` and read ``server.json``.
- The last process that leaves stops the server. If the owner ends, killed or not, while others
  share the server, the server goes on, and one of them becomes the owner within a second.
- A process that leaves stops the server only while it holds ``owner.lock`` and, exclusively,
  ``users.lock``: so a process that joins at that moment either keeps the server running or starts
  the next one. Two processes that leave at once both try after they have released their own locks.
- If a process was killed and no process owns or shares the server, the watcher of the last owner
  stops it after a few seconds.
- If the folder is deleted while the server runs, the data are in memory only. Any of the processes
  notices within a second, and saves them in a new folder, with a new server at the same address.
  Until that has worked, the server refuses writes if it fails.
- What a client was told is stored stays stored, in an append-only file: whichever of these
  processes is killed, all of it, because it is written before the answer; when the machine loses
  power, all but about the last second. (In a frozen application, where no watcher can run, the
  server syncs by itself, and killing it while a sync is under way may cost up to two seconds.)
"""

from oxcart.embedded._server import EmbeddedValkey

__all__ = ["EmbeddedValkey"]
