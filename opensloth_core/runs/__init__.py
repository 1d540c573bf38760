"""The run directory: its paths, its event log, its life."""
