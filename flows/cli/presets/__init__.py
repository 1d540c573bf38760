"""`os-train presets`."""
