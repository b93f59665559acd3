"""What the outside sees of a running program: its logs, its errors, its figures."""
