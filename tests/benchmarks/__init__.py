"""Benchmarks; pytest collects none of them, see `preparation.py`."""
