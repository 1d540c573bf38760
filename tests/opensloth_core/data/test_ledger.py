import pytest

from opensloth_core.data.ledger import Ledger

# 2 packs of 10 hold 8 trained and 7 masked tokens, so 5 cells are padding.
GOOD = {
    "rows_read": 10,
    "rows_kept": 5,
    "rows_rejected": {"empty content": 1, "not valid JSON": 1},
    "rows_not_sampled": 2,
    "rows_held_out": 1,
    "examples": 7,
    "tokens_in": 22,
    "tokens_trained": 8,
    "tokens_masked": 7,
    "tokens_truncated": 4,
    "tokens_dropped": 3,
    "packs": 2,
    "pack_length": 10,
    "max_seq_length": 10,
    "cells": 20,
    "padding": 5,
}


def test_a_ledger_that_adds_up_passes() -> None:
    ledger = Ledger.of(GOOD)
    ledger.check()
    assert ledger.num_rejected == 2
    assert ledger.fill == 0.75


@pytest.mark.parametrize(
    "field",
    [
        "rows_read",
        "rows_kept",
        "rows_not_sampled",
        "rows_held_out",
        "tokens_in",
        "tokens_trained",
        "tokens_masked",
        "tokens_truncated",
        "tokens_dropped",
        "cells",
        "padding",
        "packs",
    ],
)
def test_a_ledger_that_does_not_add_up_is_our_bug(field: str) -> None:
    with pytest.raises(AssertionError):
        Ledger.of({**GOOD, field: GOOD[field] + 1}).check()  # type: ignore[operator]


def test_where_nothing_is_packed_the_cells_are_the_tokens() -> None:
    unpacked = {"pack_length": None, "packs": 5, "cells": 15, "padding": 0}
    ledger = Ledger.of({**GOOD, **unpacked})
    ledger.check()
    assert ledger.fill == 1.0
    with pytest.raises(AssertionError):
        Ledger.of({**GOOD, **unpacked, "cells": 20}).check()


def warnings(**changes: object) -> list[str]:
    return list(Ledger.of({**GOOD, **changes}).warnings())


def test_a_person_is_told_when_more_than_one_row_in_a_hundred_is_too_long() -> None:
    # Of the 202 rows, 200 were tried.
    overlong = {"rows_read": 202, "rows_not_sampled": 2, "rows_rejected": {"longer than max_seq_length": 2}}
    assert warnings(**overlong) == []
    assert warnings(**overlong | {"rows_rejected": {"longer than max_seq_length": 3}}) == [
        "3 of 200 rows (1.5%) are longer than 10 tokens and were dropped; raise --max-seq-length to keep "
        "them, or see --overlong"
    ]


def test_a_person_is_told_when_the_sample_is_smaller_than_asked_for() -> None:
    # 5 rows are trained on and 1 is held out.
    assert warnings(samples_asked=6) == []
    assert warnings(samples_asked=7) == ["only 6 rows can be used, fewer than --samples 7"]
