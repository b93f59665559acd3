"""How an export becomes a file: one module a format."""
