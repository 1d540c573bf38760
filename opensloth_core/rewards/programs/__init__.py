"""Does the program of a completion pass the row's tests? The reward `code`."""
