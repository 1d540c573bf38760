"""Named sets of settings, as YAML files, and how they are read."""
