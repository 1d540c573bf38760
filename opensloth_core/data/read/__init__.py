"""Input files of any kind to raw rows."""
