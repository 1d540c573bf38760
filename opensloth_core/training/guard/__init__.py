"""Stops a run that has gone wrong, and says why: numbers that are not finite, memory that ran out."""
