"""Jobs of an application: declared, enqueued, followed."""

from __future__ import annotations
