"""Whether this machine can do what a run needs; one check a file."""
