"""Models under a name: versions that were promoted, one of which is current."""
