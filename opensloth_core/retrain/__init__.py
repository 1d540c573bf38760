"""Scheduled retraining: whether there is anything new, what is better, what is kept."""
