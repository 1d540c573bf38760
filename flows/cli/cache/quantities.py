"""Ages and sizes as people write them."""

import re
from typing import Any

_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SPELLINGS = {
    "m": "min",
    "sec": "s",
    "hour": "h",
    "hours": "h",
    "day": "d",
    "days": "d",
    "week": "w",
    "weeks": "w",
}

_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_NUMBER = r"\s*(\d+(?:\.\d+)?)\s*"


def parse_age(value: Any) -> float:
    """`30d`, `12h`, `90min`, `2 weeks` in seconds.

    Raises:
        ValueError: no number, or no unit that is known.
    """
    match = re.fullmatch(_NUMBER + r"([a-z]+)\s*", str(value).lower())
    unit = _SPELLINGS.get(match[2], match[2]) if match else ""
    if match is None or unit not in _SECONDS:
        raise ValueError("must be an age such as 30d, 12h or 90min")
    return float(match[1]) * _SECONDS[unit]


def parse_size(value: Any) -> int:
    """`200G`, `1.5TB`, `500 MB` in powers of 1000, `200GiB` in powers of 1024, in bytes.

    Raises:
        ValueError: no number, or no unit that is known.
    """
    match = re.fullmatch(_NUMBER + r"([kmgt]?)(i?)b?\s*", str(value).lower())
    # A bare number is more likely a forgotten unit than bytes; only nothing needs none.
    if match is None or (
        not match[2] and float(match[1]) != 0 and not str(value).lower().strip().endswith("b")
    ):
        raise ValueError("must be a size such as 200G, 1.5TB or 500MB")
    return int(float(match[1]) * (1024 if match[3] else 1000) ** _POWERS[match[2]])
