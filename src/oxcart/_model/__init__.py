"""Values and pure decisions: no I/O, the standard library alone."""
