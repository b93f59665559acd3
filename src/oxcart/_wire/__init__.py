"""What stands in Redis: keys, fields, codes, events, JSON and the scripts. No I/O.

Section numbers in this package's docstrings are those of the wire-format specification.
"""
