"""A ledger as equations."""

from opensloth_core.data.ledger import Ledger
from opensloth_core.preview.balance import balances

LEDGER = Ledger(
    rows_read=10,
    rows_kept=4,
    rows_rejected={"not valid JSON": 1, "empty content": 2},
    rows_not_sampled=2,
    rows_held_out=1,
    examples=5,
    tokens_in=1000,
    tokens_trained=300,
    tokens_masked=500,
    tokens_truncated=150,
    tokens_dropped=50,
    packs=2,
    pack_length=500,
    max_seq_length=500,
    cells=1000,
    padding=200,
)


def test_terms_add_up_to_their_total() -> None:
    for balance in balances(LEDGER):
        assert sum(count for count, _ in balance.terms) == balance.total


def test_reasons_parts_and_packs_are_noted() -> None:
    rows, tokens, cells = balances(LEDGER)
    assert rows.note == "rejected: 1 not valid JSON, 2 empty content; 5 examples"
    assert tokens.note == ""
    assert cells.note == "2 packs of 500, 80.0 % full"


def test_terms_that_are_zero_are_left_out_but_the_first() -> None:
    nothing = LEDGER.model_copy(update={"tokens_trained": 0, "tokens_truncated": 0, "tokens_dropped": 0})
    assert balances(nothing)[1].parts() == ["0 trained", "500 masked"]


def test_what_is_not_quite_full_is_not_called_full() -> None:
    # 99.96 % would be rounded to 100.0 %.
    almost = LEDGER.model_copy(update={"cells": 10_000, "padding": 4, "packs": 1, "pack_length": 10_000})
    assert balances(almost)[2].note == "1 pack of 10,000, 99.9 % full"


def test_unpacked_data_says_so() -> None:
    pairs = LEDGER.model_copy(update={"pack_length": None, "cells": 800, "padding": 0})
    assert balances(pairs)[2].note == "2 examples, nothing is packed"
