"""Short numbers for the columns of a table, and what became of a run in words."""

import math

from opensloth_core.runs.report.numbers import decimals

EXIT_CODES = {"completed": 0, "failed": 1, "crashed": 1, "cancelled": 130}
"""By the state in which a run ended."""


def brief_duration(seconds: float) -> str:
    """`9s`, `2m05`, `1h07`, `3d04`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    for length, unit, part in ((86400, "d", 3600), (3600, "h", 60), (60, "m", 1)):
        if whole >= length:
            return f"{whole // length}{unit}{whole % length // part:02d}"
    raise AssertionError("a minute or more")


def brief_loss(loss: float) -> str:
    """`5.432`, `0.0123`, `nan`."""
    return decimals(loss) if math.isfinite(loss) else str(loss)
