"""Is the final answer of a completion the reference's? The reward `math`."""
