"""Where a row keeps the answer that is right."""

REFERENCE_COLUMNS = ("answer", "solution", "ground_truth", "final_answer", "reference")
"""First found wins; `reference` is what preparation calls the answer of a conversation."""


def quoted(value: object, limit: int = 80) -> str:
    """The value as a message shows it: on one line, its end left out when it is long."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
