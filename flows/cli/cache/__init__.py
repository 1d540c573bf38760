"""`os-train cache`: what is in the artifact store, why a run would find its data there, and what may go."""
