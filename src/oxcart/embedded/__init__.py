"""A private Valkey server in a data folder, for whoever has no Redis.

The rules, which hold whatever is killed when:

- One server a folder. While it lives it holds the lock ``server.lock``, which it inherits from the
  process that starts it; nobody starts a server without having that lock first.
- One owner a server: the process that holds ``owner.lock``. The owner alone writes
  ``server.json`` (how to reach the server), starts the server again if it dies, and ends it when
  it ends itself.
- Other processes that name the folder join: they share ``users.lock`` and read ``server.json``.
- If the owner is killed, its server goes on. The next process that starts adopts it; if none does,
  and nobody shares it, the owner's watcher stops it after a few seconds.
- If the owner stops, the server stops. Whoever still needs it calls ``ensure()`` and becomes the
  owner of a new server on the same data, at the same address.
- What a client was told is stored stays stored, in an append-only file: whichever of these
  processes is killed, all of it, because it is written before the answer; when the machine loses
  power, all but about the last second. (In a frozen application, where no watcher can run, the
  server syncs by itself, and killing it while a sync is under way may cost up to two seconds.)
"""

from oxcart.embedded._server import EmbeddedValkey

__all__ = ["EmbeddedValkey"]
