from __future__ import annotations

from hypothesis import settings

# A slow machine is no counterexample.
settings.register_profile("oxcart", deadline=None)
settings.load_profile("oxcart")
