"""Measures oxcart beside its peers: ``python -m benchmarks --help``."""
