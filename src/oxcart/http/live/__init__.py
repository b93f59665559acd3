"""Live updates: server-sent events, long polls, and the tickets that permit them to browsers."""
