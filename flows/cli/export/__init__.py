"""`os-train export`."""
