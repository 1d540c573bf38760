"""What becomes of rows longer than a pack, and that it is counted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.opensloth_core.data.questions import TOKENS_AROUND, question, text_of

Write = Callable[..., Path]
Prepare = Callable[..., Any]
Refuse = Callable[..., str]

LONG = question("x" * 100)
"""Its question and the header before its answer are 1 + 5 + 109 + 2 + 1 + 10 = 128 tokens."""


@pytest.mark.parametrize(
    ("overlong", "limit", "kept", "truncated", "dropped"),
    [
        # 21 + 109 + 107 = 237 tokens in all.
        ("drop", 236, 0, 0, 237),
        ("drop", 237, 237, 0, 0),
        ("truncate", 200, 200, 37, 0),
        ("truncate", 129, 129, 108, 0),
        ("truncate", 128, 0, 0, 237),
        # 128 of the question and 109 of the answer; or 100 without a trained token, 100 and 37.
        ("split", 128, 109, 0, 128),
        ("split", 100, 137, 0, 100),
    ],
)
def test_the_ledger_adds_up_whatever_becomes_of_long_rows(
    overlong: str, limit: int, kept: int, truncated: int, dropped: int, jsonl: Write, prepared: Prepare
) -> None:
    found = prepared(jsonl([question(1), LONG]), overlong=overlong, max_seq_length=limit)
    ledger, short = found.ledger, TOKENS_AROUND + 10 + 8
    ledger.check()
    assert (ledger.tokens_in, ledger.tokens_trained + ledger.tokens_masked) == (short + 237, short + kept)
    assert (ledger.tokens_truncated, ledger.tokens_dropped) == (truncated, dropped)
    assert ledger.rows_kept == (2 if kept else 1)
    reason = "longer than max_seq_length" if overlong == "drop" else "nothing to train within max_seq_length"
    assert ledger.rows_rejected == ({} if kept else {reason: 1})


def test_a_split_row_is_trained_in_all_its_parts(jsonl: Write, prepared: Prepare) -> None:
    found = prepared(jsonl([LONG]), overlong="split", max_seq_length=100)
    whole = text_of("x" * 100)
    # Counted in tokens, of which a marker is one: 99 characters of the text come after the first one.
    assert sorted(len(ids["input_ids"]) for ids in found.rows) == [37, 100]
    (middle, middle_trained), (end, end_trained) = sorted(
        found.examples(), key=lambda one: whole.index(one[0])
    )
    assert whole.endswith(middle + end)
    # The answer begins in the middle part; the first token of the end is predicted by nothing.
    answer = "It is " + "x" * 100 + ".<|im_end|>"
    assert middle_trained + end[0] + end_trained == answer
    assert found.ledger.examples == 2


def test_with_error_a_long_row_stops_the_run(jsonl: Write, error: Refuse) -> None:
    path = jsonl([question(1), LONG, LONG, question(2)])
    assert error(path, overlong="error") == (
        "train.jsonl:2: longer than max_seq_length 128, the first of 2 rows; raise --max-seq-length, or "
        "have them dropped, truncated or split by --overlong"
    )
    assert error(path, overlong="error", samples=2, samples_from="head").startswith("train.jsonl:2: longer")


def test_with_error_only_rows_of_the_sample_count(jsonl: Write, prepared: Prepare) -> None:
    rows = [question(1), question(2), LONG]
    found = prepared(jsonl(rows), overlong="error", samples=2, samples_from="head")
    assert found.ledger.rows_kept == 2
