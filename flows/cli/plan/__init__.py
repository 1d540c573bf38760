"""`os-train plan` and `--dry-run`."""
