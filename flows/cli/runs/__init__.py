"""`os-train runs`: what was run, how it went, and what may go."""
