"""Where every row and every token of the input went."""

from collections.abc import Iterator

from opensloth_core.config.base import Settings
from opensloth_core.data.segments import OVERLONG

_LOUD_SHARE = 0.01


class Ledger(Settings):
    """Counts whose lines add up; see `check`."""

    rows_read: int
    """Rows of the input, blank lines not counted."""

    rows_kept: int
    """Rows that are trained on."""

    rows_rejected: dict[str, int]
    """Rows that cannot be used, by reason."""

    rows_not_sampled: int
    """Rows that the sample left out, usable or not."""

    rows_held_out: int = 0
    """Rows set aside for evaluation."""

    samples_asked: int | None = None
    """Size of the sample that was asked for; fewer rows are used where fewer can be."""

    examples: int
    """What the kept rows became: one each, several where a row was split up."""

    tokens_in: int
    """Tokens of the kept rows and of the rejected ones that got as far as having tokens."""

    tokens_trained: int
    """Labels that are not ignored: terms of the loss in one epoch."""

    tokens_masked: int
    """Tokens that are read but not trained."""

    tokens_truncated: int = 0
    """Tokens cut off from kept rows."""

    tokens_dropped: int
    """Tokens of rejected rows, and of parts of kept ones that are not trained on."""

    packs: int
    """Rows of all shards: packs, or pairs or prompts where nothing is packed."""

    pack_length: int | None
    """Tokens a pack holds at most; None where nothing is packed."""

    max_seq_length: int
    """Tokens of the longest example that is kept whole."""

    cells: int
    """Room in the shards: packs * pack_length, or the tokens where nothing is packed."""

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
        if self.pack_length is not None:
            assert self.cells == self.packs * self.pack_length
        assert self.cells == used + self.padding, f"{self.cells} cells, {used} tokens, {self.padding} padding"

    def warnings(self) -> Iterator[str]:
        """Lines that a person should see before training starts."""
        overlong = self.rows_rejected.get(OVERLONG, 0)
        num_tried = self.rows_read - self.rows_not_sampled
        if overlong > _LOUD_SHARE * num_tried:
            yield (
                f"{overlong} of {num_tried} rows ({overlong / num_tried:.1%}) are longer than "
                f"{self.max_seq_length} tokens and were dropped; raise --max-seq-length to keep them, or "
                "see --overlong"
            )
        used = self.rows_kept + self.rows_held_out
        if self.samples_asked is not None and used < self.samples_asked:
            yield f"only {used} rows can be used, fewer than --samples {self.samples_asked}"
