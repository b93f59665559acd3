"""Authentication methods, without knowledge of any application."""
