import pytest

from opensloth_core.data.ledger import Ledger

# 2 packs of 10 hold 8 trained and 7 masked tokens, so 5 cells are padding.
GOOD = {
    "rows_read": 10,
    "rows_kept": 6,
    "rows_rejected": {"empty content": 1, "not valid JSON": 1},
    "rows_not_sampled": 2,
    "tokens_in": 18,
    "tokens_trained": 8,
    "tokens_masked": 7,
    "tokens_dropped": 3,
    "packs": 2,
    "pack_length": 10,
    "cells": 20,
    "padding": 5,
}


def test_a_ledger_that_adds_up_passes() -> None:
    ledger = Ledger.of(GOOD)
    ledger.check()
    assert ledger.num_rejected == 2
    assert ledger.fill == 0.75


@pytest.mark.parametrize(
    "field", ["rows_kept", "rows_not_sampled", "tokens_in", "tokens_dropped", "cells", "padding"]
)
def test_a_ledger_that_does_not_add_up_is_our_bug(field: str) -> None:
    with pytest.raises(AssertionError):
        Ledger.of({**GOOD, field: GOOD[field] + 1}).check()  # type: ignore[operator]
