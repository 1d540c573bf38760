"""The commands of `os-train models`."""
