"""The rewards that GRPO scores completions with; plain Python, no torch."""
