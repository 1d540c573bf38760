"""What a completion says once it has thought."""

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"


def after_thinking(text: str) -> str:
    """What comes after the last `</think>`; nothing of a thought that never ends, all where there is none."""
    _, closed, said = text.rpartition(THINK_CLOSE)
    return said.partition(THINK_OPEN)[0] if closed or THINK_OPEN in said else said
