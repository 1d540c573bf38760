"""`os-train server`."""
