"""The roles inside a worker, and what they share."""
