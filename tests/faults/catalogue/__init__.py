"""Catalogue of faults: each scenario applies a load and a fault, then checks the invariants.

The ledger of a scenario is a file outside Redis. See ``docs/explanation/reliability.md``.
"""
