"""What preflight checks, one subject a file; nothing here writes anything."""
