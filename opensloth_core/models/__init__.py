"""Models that come with the project instead of from a hub."""
