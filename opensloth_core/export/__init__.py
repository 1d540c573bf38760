"""Results of runs in the forms that other programs take."""
