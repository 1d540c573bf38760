"""A ledger as a few lines of text whose numbers stand under one another."""

import shutil
import textwrap

from opensloth_core.data.ledger import Ledger
from opensloth_core.preview.balance import Balance, balances

NAME_WIDTH = 9
UNBROKEN_SPACE = "\u00a0"
WIDEST = 100


def ledger_lines(ledger: Ledger) -> list[str]:
    """Rows, tokens and cells, each as an equation wrapped between its terms.

    Rows         300 read = 288 kept + 12 rejected
                            rejected: 12 longer than max_seq_length
    Tokens   331,065 in   = 185,134 trained + 111,226 masked + 34,705 dropped
    Cells    296,360      = 185,134 trained + 111,226 masked
                            288 examples, nothing is packed
    """
    equations = balances(ledger)
    totals = max(len(f"{equation.total:,}") for equation in equations)
    labels = max(len(equation.label) for equation in equations)
    width = max(60, min(WIDEST, shutil.get_terminal_size().columns))
    return [line for equation in equations for line in _lines(equation, totals, labels, width)]


def _lines(equation: Balance, totals: int, labels: int, width: int) -> list[str]:
    head = f"{equation.name:{NAME_WIDTH}}{equation.total:>{totals},} {equation.label:{labels}} = "
    indent = " " * len(head)
    terms = " + ".join(part.replace(" ", UNBROKEN_SPACE) for part in equation.parts())
    lines = textwrap.wrap(terms, width, initial_indent=head, subsequent_indent=indent)
    lines += textwrap.wrap(equation.note, width, initial_indent=indent, subsequent_indent=indent)
    return [line.replace(UNBROKEN_SPACE, " ") for line in lines]
