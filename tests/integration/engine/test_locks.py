"""Keeping locks, and letting go of jobs whose lock is gone."""

from __future__ import annotations
