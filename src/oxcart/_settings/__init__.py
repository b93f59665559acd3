"""How settings are read, checked and shown; the settings themselves are in ``oxcart.settings``."""
