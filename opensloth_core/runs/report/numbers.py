"""Numbers as people read them."""

import math

UNITS = ("B", "kB", "MB", "GB", "TB")


def decimals(value: float) -> str:
    """Four digits that count: `2.346`, `0.0123`, `12,346`, `1.2e-05`."""
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    size = abs(value)
    if value == int(value) and size < 1e6:
        return f"{int(value):,}"
    if size >= 1e7 or size < 1e-3:
        return f"{value:.2g}"
    places = max(0, 3 - max(0, math.floor(math.log10(size)))) if size >= 1 else 4
    return f"{value:,.{places}f}"


def measure(name: str, value: float) -> str:
    """A metric's value: accuracies as per cent."""
    return percent(value) if "accurac" in name else decimals(value)


def percent(share: float) -> str:
    """`61.2 %`."""
    return f"{100 * share:.1f} %" if math.isfinite(share) else decimals(share)


def duration(seconds: float) -> str:
    """`87 ms`, `1.4 s`, `12 s`, `3 min 05 s`, `2 h 07 min`, `3 d 04 h`."""
    if not math.isfinite(seconds):
        return decimals(seconds)
    if seconds < 0.0005:
        return "0 s"
    if seconds < 0.9995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24:02d} h"


def size(num_bytes: float) -> str:
    """`812 B`, `4.6 MB`, `38 GB`; powers of 1000."""
    power = 0
    while num_bytes >= 999.5 and power < len(UNITS) - 1:
        num_bytes, power = num_bytes / 1000, power + 1
    places = 1 if power and num_bytes < 9.95 else 0
    return f"{num_bytes:.{places}f} {UNITS[power]}"


def counted(count: int, noun: str) -> str:
    """`1 step`, `2,000 steps`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
