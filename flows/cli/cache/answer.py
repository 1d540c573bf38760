"""How a cache command ends: its exit code, and one line where something is wrong."""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence

from flows.cli.json_view import refused_as_json
from flows.cli.run import INTERRUPTED, TERMINATED, Terminated, signals_as_interrupts
from opensloth_core.errors import OpenSlothError

_NARROWEST = 60
_ELLIPSIS = "…"


def answered(command: str, work: Callable[[], int], as_json: bool = False) -> int:
    """Do a command's work and give its exit code.

    Args:
        command: who speaks in error messages.
        as_json: say what is wrong as JSON, see `json_view`.
    """
    try:
        with signals_as_interrupts(signal.SIGTERM):
            code = work()
            sys.stdout.flush()
            return code
    except OpenSlothError as err:
        return _said(command, str(err), err.exit_code, as_json)
    except Terminated:
        return _said(command, "terminated", TERMINATED, as_json)
    except KeyboardInterrupt:
        return _said(command, "interrupted", INTERRUPTED, as_json)
    except BrokenPipeError:
        # Whoever reads has seen enough; Python would complain when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def terminal_width() -> int:
    """Columns to print to."""
    return max(_NARROWEST, shutil.get_terminal_size().columns)


def table(
    rows: Sequence[Sequence[str]], to_the_right: Sequence[int] = (), yields: Sequence[int] = ()
) -> list[str]:
    """Columns that stand under one another.

    Args:
        rows: cells; the first row is the head.
        to_the_right: numbers of the columns that hold numbers.
        yields: those whose texts are cut where the line would not fit the terminal.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    missing = sum(widths) + 2 * (len(widths) - 1) - terminal_width()
    while (
        missing > 0 and (widest := max(yields, key=lambda column: widths[column], default=None)) is not None
    ):
        if widths[widest] <= len(rows[0][widest]) or widths[widest] <= 6:
            break
        widths[widest], missing = widths[widest] - 1, missing - 1
    return ["  ".join(_cells(row, widths, to_the_right)).rstrip() for row in rows]


def _cells(row: Sequence[str], widths: Sequence[int], to_the_right: Sequence[int]) -> list[str]:
    cut = [
        cell if len(cell) <= width else cell[: width - 1] + _ELLIPSIS
        for cell, width in zip(row, widths, strict=True)
    ]
    return [
        cell.rjust(width) if number in to_the_right else cell.ljust(width)
        for number, (cell, width) in enumerate(zip(cut, widths, strict=True))
    ]


def _said(command: str, message: str, exit_code: int, as_json: bool) -> int:
    if as_json:
        return refused_as_json(command, message, exit_code)
    print(f"{command}: {message}", file=sys.stderr)
    return exit_code
