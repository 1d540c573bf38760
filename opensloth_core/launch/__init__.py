"""Starts and supervises the processes of a run's ranks. Nothing of Prefect."""
