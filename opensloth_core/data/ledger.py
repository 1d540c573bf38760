"""Where every row and every token of the input went."""

from collections.abc import Iterator

from opensloth_core.config.base import Settings
from opensloth_core.data.encode import OVERLONG

_LOUD_SHARE = 0.01


class Ledger(Settings):
    """Counts whose lines add up; see `check`."""

    rows_read: int
    """Rows of the input, blank lines not counted."""

    rows_kept: int
    """Rows that are in the packs."""

    rows_rejected: dict[str, int]
    """Rows that cannot be used, by reason."""

    rows_not_sampled: int
    """Usable rows that the sample left out, and rows it left out before they were tried."""

    rows_held_out: int = 0
    """Rows set aside for evaluation."""

    samples_asked: int | None = None
    """Size of the sample that was asked for; fewer rows are kept where fewer can be used."""

    tokens_in: int
    """Tokens of the kept rows and of the rejected ones that got as far as having tokens."""

    tokens_trained: int
    """Labels that are not ignored: terms of the loss in one epoch."""

    tokens_masked: int
    """Tokens that are read but not trained."""

    tokens_truncated: int = 0
    """Tokens cut off from kept rows."""

    tokens_dropped: int
    """Tokens of rejected rows."""

    packs: int
    """Rows of all shards."""

    pack_length: int
    """Tokens a pack holds at most."""

    cells: int
    """packs * pack_length."""

    padding: int
    """Cells that hold no token."""

    @property
    def num_rejected(self) -> int:
        """Rejected rows of all reasons."""
        return sum(self.rows_rejected.values())

    @property
    def fill(self) -> float:
        """Share of the cells that hold a token."""
        return (self.cells - self.padding) / self.cells

    def check(self) -> None:
        """Assert that the lines add up; where they do not, our code lost something."""
        accounted = self.rows_kept + self.num_rejected + self.rows_not_sampled + self.rows_held_out
        assert self.rows_read == accounted, f"{self.rows_read} rows read, {accounted} accounted for"
        used = self.tokens_trained + self.tokens_masked
        accounted = used + self.tokens_truncated + self.tokens_dropped
        assert self.tokens_in == accounted, f"{self.tokens_in} tokens in, {accounted} accounted for"
        assert self.cells == self.packs * self.pack_length
        assert self.cells == used + self.padding, f"{self.cells} cells, {used} tokens, {self.padding} padding"

    def warnings(self) -> Iterator[str]:
        """Lines that a person should see before training starts."""
        overlong = self.rows_rejected.get(OVERLONG, 0)
        if overlong > _LOUD_SHARE * self.rows_read:
            yield (
                f"{overlong} of {self.rows_read} rows ({overlong / self.rows_read:.1%}) are longer than "
                f"{self.pack_length} tokens and were dropped; raise --max-seq-length to keep them"
            )
        if self.samples_asked is not None and self.rows_kept < self.samples_asked:
            yield f"only {self.rows_kept} rows can be used, fewer than --samples {self.samples_asked}"
