"""The only code that speaks to Redis: connections, scripts, calls."""
