"""Attempts to break what Poolchain promises."""
