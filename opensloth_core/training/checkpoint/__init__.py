"""Checkpoints: a torn one is never taken for whole, and a run goes on from one bit for bit."""
