"""Runs that a server starts for a command: submitted, followed, cancelled."""
