"""Workers that wait: what wakes them, and how little they ask for."""

from __future__ import annotations
