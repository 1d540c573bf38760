"""Proves on the user's own devices that any number of ranks trains what one rank trains."""
