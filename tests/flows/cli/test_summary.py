"""What a command prints of a run that has ended."""

from pathlib import Path

import pytest

from flows.cli.ledger_table import ledger_lines
from flows.cli.summary import data_summary, summary
from opensloth_core.data.ledger import Ledger
from tests.flows.cli.run_events import RUN, event


def test_summary_says_where_and_how() -> None:
    assert summary(Path("/runs/r"), RUN).splitlines() == [
        "Adapter  /runs/r/adapter",
        "Loss     0.500 (first step 2.346)",
        "Speed    12,346 tokens/s",
        "Data     prepared in 1.5 s (key 0123456789ab)",
        "Report   /runs/r/report.md",
        "Time     23 s",
        "Try it   os-train chat r",
    ]


def test_summary_of_a_run_that_recorded_nothing() -> None:
    assert summary(Path("/runs/r"), []) == "Report   /runs/r/report.md"


LEDGER = {
    "rows_read": 1500,
    "rows_kept": 1100,
    "rows_rejected": {"longer than max_seq_length": 2, "not valid JSON": 1},
    "rows_not_sampled": 297,
    "rows_held_out": 100,
    "examples": 1100,
    "tokens_in": 412_345,
    "tokens_trained": 200_000,
    "tokens_masked": 207_345,
    "tokens_dropped": 5_000,
    "packs": 200,
    "pack_length": 2048,
    "max_seq_length": 2048,
    "cells": 409_600,
    "padding": 2_255,
}
PREPARED = event("prepared", 1.0, key="k" * 32, cached=True, ledger=LEDGER)


def test_the_summary_of_data_is_a_table_that_adds_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert data_summary(Path("/store/k"), [PREPARED]).splitlines() == [
        "Data     cached, nothing to prepare (key kkkkkkkkkkkk)",
        "Rows       1,500 read = 1,100 kept + 3 rejected + 297 not sampled + 100 held out",
        "                        rejected: 2 longer than max_seq_length, 1 not valid JSON",
        "Tokens   412,345 in   = 200,000 trained + 207,345 masked + 5,000 dropped",
        "Cells    409,600      = 200,000 trained + 207,345 masked + 2,255 padding",
        "                        200 packs of 2,048, 99.4 % full",
        f"Rejected {home}/store/prepared/{'k' * 32}/rejected.jsonl",
        "Folder   /store/k",
        "Time     0 s",
    ]


def test_a_training_run_shows_the_same_table(home: Path) -> None:
    data = data_summary(Path("/store/k"), [PREPARED]).splitlines()[:-2]
    assert set(data) < set(summary(Path("/runs/r"), [PREPARED]).splitlines())


@pytest.mark.parametrize("columns", [20, 60, 80, 200])
def test_the_table_of_a_ledger_fits_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    reasons = {"longer than max_seq_length": 1, "not valid JSON": 1, "no assistant turn": 1}
    billions = Ledger.of(
        {
            **LEDGER,
            "rows_rejected": reasons,
            "tokens_in": 7_000_000_012,
            "tokens_trained": 3_000_000_000,
            "tokens_masked": 3_999_995_012,
        }
    )
    assert max(map(len, ledger_lines(billions))) <= min(max(columns, 60), 100)
