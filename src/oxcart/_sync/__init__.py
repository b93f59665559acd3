"""The parts of ``oxcart.sync``, most of them generated; see ``scripts/generate-sync``."""
