"""Jobs that cannot be run: each fails alone."""

from __future__ import annotations
