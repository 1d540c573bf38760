"""What an artifact is, in the words and short numbers of a table."""

import time

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))

KINDS = {"prepared": "data", "tokens": "tokens", "merged": "merged model"}


def age(seconds: float) -> str:
    """`41 s`, `12 min`, `3 h`, `40 d`."""
    for length, unit in _UNITS:
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"


def brief_age(seconds: float) -> str:
    """`41s`, `12m`, `3h`, `40d`."""
    return age(seconds).replace(" min", "m").replace(" ", "")


def ago(moment: float, now: float | None = None) -> str:
    """`3 h ago`."""
    return f"{age((time.time() if now is None else now) - moment)} ago"


def compact(number: int | None) -> str:
    """`812`, `31.2k`, `7.1M`; nothing where it is not known."""
    if number is None:
        return ""
    size, units = float(number), ["", "k", "M", "G", "T"]
    while size >= 999.5 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return (
        f"{number}"
        if units[0] == ""
        else f"{size:.1f}{units[0]}"
        if size < 99.95
        else f"{size:.0f}{units[0]}"
    )


def date(moment: float) -> str:
    """`2026-11-23 06:59:12`, in local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
