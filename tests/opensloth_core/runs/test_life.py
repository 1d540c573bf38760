"""How a run's end is recorded, whichever way it ends."""

import asyncio
from typing import Any

import pytest

from opensloth_core.errors import DataError, TrainingError
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import read_events
from opensloth_core.runs.life import record_prepared, recorded
from opensloth_core.store.prepared import PreparedManifest


def last_state(run: RunDirectory) -> tuple[str, str | None]:
    """The last state of a run and what was said about it."""
    event = [event for event in read_events(run.events_path) if event["kind"] == "state"][-1]
    return event["state"], event.get("message")


def test_work_that_ends_well_completes_the_run(finished_run: RunDirectory) -> None:
    with recorded(finished_run):
        assert last_state(finished_run) == ("created", None)
    assert last_state(finished_run) == ("completed", None)


@pytest.mark.parametrize(
    ("error", "state", "message"),
    [
        (TrainingError("rank 1 was killed by SIGKILL"), "failed", "rank 1 was killed by SIGKILL"),
        (DataError("train.jsonl: the file is empty"), "failed", "train.jsonl: the file is empty"),
        (KeyboardInterrupt(), "cancelled", None),
        (asyncio.CancelledError(), "cancelled", None),
        (ZeroDivisionError("a bug"), "crashed", "ZeroDivisionError: a bug"),
        (SystemExit(1), "crashed", "SystemExit: 1"),
        (
            ExceptionGroup("ranks", [OSError("disk full")]),
            "crashed",
            "ExceptionGroup: ranks (1 sub-exception)",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_an_error_is_recorded_and_raised_on(
    error: BaseException, state: str, message: str | None, finished_run: RunDirectory
) -> None:
    with pytest.raises(type(error)) as caught, recorded(finished_run):
        raise error
    assert caught.value is error
    assert last_state(finished_run) == (state, message)


def test_a_cancelled_coroutine_cancels_the_run(finished_run: RunDirectory) -> None:
    async def train() -> None:
        with recorded(finished_run):
            await asyncio.sleep(60)

    async def cancel() -> None:
        training = asyncio.create_task(train())
        await asyncio.sleep(0)
        training.cancel()
        with pytest.raises(asyncio.CancelledError):
            await training

    asyncio.run(cancel())
    assert last_state(finished_run) == ("cancelled", None)


def manifest(**counts: Any) -> PreparedManifest:
    """A manifest of 100 rows, of which `counts` differ."""
    ledger = {
        "rows_read": 100,
        "rows_kept": 100,
        "rows_rejected": {},
        "rows_not_sampled": 0,
        "examples": 100,
        "max_seq_length": 128,
        "tokens_in": 1000,
        "tokens_trained": 400,
        "tokens_masked": 600,
        "tokens_dropped": 0,
        "packs": 10,
        "pack_length": 128,
        "cells": 1280,
        "padding": 280,
    }
    return PreparedManifest.of(
        {
            "key": "0123abcd",
            "parts": {},
            "preparation": {},
            "shards": (),
            "files": {},
            "ledger": ledger | counts,
            "created": 1.0,
        }
    )


def test_the_prepared_data_is_recorded_with_its_ledger(finished_run: RunDirectory) -> None:
    record_prepared(finished_run, manifest(), cached=True, seconds=0.5)
    (event,) = [event for event in read_events(finished_run.events_path) if event["kind"] == "prepared"]
    assert (event["key"], event["cached"], event["seconds"]) == ("0123abcd", True, 0.5)
    assert event["ledger"]["tokens_trained"] == 400
    assert not [event for event in read_events(finished_run.events_path) if event["kind"] == "message"]


def test_what_is_loud_in_the_ledger_is_said(finished_run: RunDirectory) -> None:
    rejected = {"rows_kept": 95, "rows_rejected": {"longer than max_seq_length": 5}}
    record_prepared(finished_run, manifest(**rejected), cached=False, seconds=0.5)
    messages = [event for event in read_events(finished_run.events_path) if event["kind"] == "message"]
    assert [(event["level"], event["text"]) for event in messages] == [
        (
            "warning",
            "5 of 100 rows (5.0%) are longer than 128 tokens and were dropped; "
            "raise --max-seq-length to keep them, or see --overlong",
        )
    ]
