"""`os-train chat`."""
