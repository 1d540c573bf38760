"""A ledger as equations that add up, for whoever shows it."""

import math
from dataclasses import dataclass

from opensloth_core.data.ledger import Ledger


@dataclass(frozen=True)
class Balance:
    """One equation: a total, and the terms that add up to it.

    Rows   300 read = 288 kept + 12 rejected (longer than max_seq_length)
    """

    name: str
    total: int
    label: str
    """What the total counts; may be empty."""

    terms: tuple[tuple[int, str], ...]
    """Counts and what they are, those that are 0 included."""

    note: str = ""

    def parts(self) -> list[str]:
        """The terms as text, without those that are 0 but the first."""
        first, *others = self.terms
        return [f"{count:,} {label}" for count, label in [first, *(term for term in others if term[0])]]


def balances(ledger: Ledger) -> tuple[Balance, ...]:
    """The equations of a ledger: rows, tokens and cells."""
    used = ((ledger.tokens_trained, "trained"), (ledger.tokens_masked, "masked"))
    rows = Balance(
        "Rows",
        ledger.rows_read,
        "read",
        (
            (ledger.rows_kept, "kept"),
            (ledger.num_rejected, "rejected"),
            (ledger.rows_not_sampled, "not sampled"),
            (ledger.rows_held_out, "held out"),
        ),
        _about_rows(ledger),
    )
    tokens = Balance(
        "Tokens",
        ledger.tokens_in,
        "in",
        (*used, (ledger.tokens_truncated, "truncated"), (ledger.tokens_dropped, "dropped")),
    )
    cells = Balance("Cells", ledger.cells, "", (*used, (ledger.padding, "padding")), _packs(ledger))
    return rows, tokens, cells


def _about_rows(ledger: Ledger) -> str:
    notes = []
    if ledger.rows_rejected:
        reasons = ledger.rows_rejected.items()
        notes.append("rejected: " + ", ".join(f"{count:,} {reason}" for reason, count in reasons))
    if ledger.examples != ledger.rows_kept:
        notes.append(f"{ledger.examples:,} examples")
    return "; ".join(notes)


def _packs(ledger: Ledger) -> str:
    if ledger.pack_length is None:
        return f"{ledger.packs:,} examples, nothing is packed"
    packs = f"{ledger.packs:,} pack{'' if ledger.packs == 1 else 's'} of {ledger.pack_length:,}"
    # Rounded down: only what is full is 100 % full.
    return f"{packs}, {math.floor(1000 * ledger.fill) / 10:.1f} % full"
