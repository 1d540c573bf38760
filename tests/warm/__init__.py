"""Rank processes that begin with their imports done: forks of one process that has made them."""
