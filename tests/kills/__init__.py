"""What becomes of a run when a process of it is killed, stopped or interrupted: for real, cell by cell."""
