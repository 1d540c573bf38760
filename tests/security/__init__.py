"""Attempts to break out, for real."""
