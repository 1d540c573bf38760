"""Numbers as people read them."""

import math

import pytest

from opensloth_core.runs.report.numbers import counted, decimals, duration, measure, percent, size


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.34567, "2.346"),
        (0.01234, "0.0123"),
        (12345.6, "12,346"),
        (123.456, "123.5"),
        (1.23e-5, "1.2e-05"),
        (3.2e8, "3.2e+08"),
        (3.0, "3"),
        (-1.5, "-1.500"),
        (0, "0"),
        (math.nan, "not a number"),
        (math.inf, "infinite"),
        (-math.inf, "-infinite"),
    ],
)
def test_four_digits_count(value: float, text: str) -> None:
    assert decimals(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.087, "87 ms"),
        (0.9996, "1.0 s"),
        (1.44, "1.4 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.7, "1 h 00 min"),
        (7620, "2 h 07 min"),
        (86_400 * 3 + 4 * 3600, "3 d 04 h"),
        (math.nan, "not a number"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_sizes_shares_and_counts() -> None:
    assert [size(n) for n in (812, 999.6, 4.6e6, 38.2e9)] == ["812 B", "1.0 kB", "4.6 MB", "38 GB"]
    assert (percent(0.6123), percent(math.nan)) == ("61.2 %", "not a number")
    assert (counted(1, "step"), counted(2000, "step")) == ("1 step", "2,000 steps")
    assert (measure("token_accuracy", 0.5), measure("loss", 0.5)) == ("50.0 %", "0.5000")
