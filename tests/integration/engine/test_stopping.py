"""Stopping a worker: what becomes of the jobs that it runs."""

from __future__ import annotations
