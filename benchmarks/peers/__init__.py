"""One folder a system: how it is installed and its adapter."""
