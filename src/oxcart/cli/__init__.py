"""The ``oxcart`` command."""
