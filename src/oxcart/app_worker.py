"""An application's jobs made ready to be run, and the worker that runs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from oxcart._engine.extensions import Surroundings
from oxcart._engine.handler import Handlers
from oxcart._store.store import Store
from oxcart.worker import WorkerGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Declared jobs, ready to be run: by a worker, or by who takes jobs from elsewhere.

    Attributes:
        handlers: the handlers of each queue.
        surroundings: the threads and resources that they share; who runs them opens and closes
            these.
    """

    handlers: dict[str, Handlers]
    surroundings: Surroundings


class AppWorker(WorkerGroup):
    """A worker of an application's jobs; see ``App.worker``."""

    def __init__(self, store: Store, surroundings: Surroundings, **options: Any) -> None:
        super().__init__(store, supply=surroundings.supply, **options)
        self._threads = surroundings.threads

    async def run(self) -> None:
        """Run jobs until ``stop`` is called; see ``WorkerGroup.run``."""
        try:
            await super().run()
        finally:
            self._threads.close()
