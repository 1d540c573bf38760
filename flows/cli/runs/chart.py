"""Curves as text: lines of braille dots with the letter of each on it, so that no colour is needed."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from opensloth_core.runs.report.numbers import decimals
from opensloth_core.runs.report.smoothing import smoothed
from opensloth_core.runs.statistics import StepValue

HEIGHT = 14
"""Lines of the plot, axis not counted."""

COLOURS = ("\x1b[36m", "\x1b[33m", "\x1b[32m", "\x1b[35m", "\x1b[34m", "\x1b[31m")
RESET = "\x1b[0m"

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of U+2800 by row and column of a cell. Source: Unicode, Braille Patterns."""

_LETTER_EVERY = 14
"""Columns from one letter on a curve to the next."""

_ROUNDING = 1e-9

_AXIS_LINES = (0, HEIGHT // 2, HEIGHT - 1)


def chart(curves: Mapping[str, Sequence[StepValue]], width: int, coloured: bool) -> list[str]:
    """Smoothed curves over their steps.

    Args:
        curves: by the letter that marks them.
        width: of the lines, in columns.
    """
    known = {letter: found for letter, curve in curves.items() if (found := _smoothed(curve))}
    points = [point for curve in known.values() for point in curve]
    if not points:
        return []
    low, high = min(value for _, value in points), max(value for _, value in points)
    first, last = min(step for step, _ in points), max(step for step, _ in points)
    names = [decimals(_value(low, high, line)) for line in _AXIS_LINES]
    margin = max(map(len, names))
    columns = max(20, width - margin - 2)
    canvas = _Canvas(columns)
    letters = list(curves)
    for letter, curve in known.items():
        dots = [
            (
                _scaled(step, first, last, 2 * columns - 1),
                4 * HEIGHT - 1 - _scaled(value, low, high, 4 * HEIGHT - 1),
            )
            for step, value in curve
        ]
        canvas.draw(dots, letters.index(letter), letter, len(letters))
    lines = []
    for line in range(HEIGHT):
        name = names[_AXIS_LINES.index(line)] if line in _AXIS_LINES else ""
        lines.append(f"{name:>{margin}} {'┤' if name else '│'}{canvas.line(line, coloured)}".rstrip())
    lines.append(" " * (margin + 1) + "└" + "─" * columns)
    begin, end = f"step {first:,}", f"{last:,}"
    lines.append(" " * (margin + 2) + begin + end.rjust(columns - len(begin)))
    return lines


class _Canvas:
    """Cells of 2 x 4 dots, each with the curve that was drawn in it last."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._bits = [[0] * columns for _ in range(HEIGHT)]
        self._owner: list[list[int | None]] = [[None] * columns for _ in range(HEIGHT)]
        self._letters: dict[tuple[int, int], tuple[str, int]] = {}

    def draw(self, dots: Sequence[tuple[int, int]], owner: int, letter: str, count: int) -> None:
        """Draw a curve through some dots, and its letter on it."""
        cells: dict[int, int] = {}
        for (x0, y0), (x1, y1) in zip(dots, [*dots[1:], dots[-1]], strict=True):
            length = max(abs(x1 - x0), abs(y1 - y0), 1)
            for part in range(length + 1):
                x, y = round(x0 + (x1 - x0) * part / length), round(y0 + (y1 - y0) * part / length)
                self._bits[y // 4][x // 2] |= _DOTS[y % 4][x % 2]
                self._owner[y // 4][x // 2] = owner
                cells[x // 2] = y // 4
        # Letters of curves that lie on one another stand beside each other.
        shift = owner * _LETTER_EVERY // count
        for column, line in cells.items():
            if column % _LETTER_EVERY == shift or len(cells) == 1:
                self._letters[line, column] = (letter, owner)

    def line(self, number: int, coloured: bool) -> str:
        """A line of the picture."""
        cells = []
        for column in range(self._columns):
            letter, owner = self._letters.get((number, column), ("", self._owner[number][column]))
            bits = self._bits[number][column]
            text = letter or (chr(0x2800 + bits) if bits else " ")
            is_plain = not coloured or owner is None or text == " "
            cells.append(text if is_plain else f"{COLOURS[owner or 0]}{text}{RESET}")
        return "".join(cells)


def _smoothed(curve: Sequence[StepValue]) -> list[tuple[int, float]]:
    if not curve:
        return []
    values = np.array([value for _, value in curve], dtype=float)
    line = smoothed(values)
    return [
        (one.step, float(value))
        for one, value in zip(curve, line, strict=True)
        if math.isfinite(one.value) and math.isfinite(value)
    ]


def _value(low: float, high: float, line: int) -> float:
    """What a line of the plot stands for; nothing is told of digits that smoothing left."""
    value = high - (high - low) * line / (HEIGHT - 1)
    return 0.0 if abs(value) < _ROUNDING * (high - low) else value


def _scaled(value: float, low: float, high: float, most: int) -> int:
    return round((value - low) / (high - low) * most) if high > low else most // 2
