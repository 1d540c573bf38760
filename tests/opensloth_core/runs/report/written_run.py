"""A run of two ranks that was killed after step 4 and resumed from step 2, as its log would have it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.directory import Launch, RunDirectory

CREATED = 1_000_000.0
NEXT_DAY = 80_000.0

LEDGER = {
    "rows_read": 30,
    "rows_kept": 24,
    "rows_rejected": {"no | chosen": 2},
    "rows_not_sampled": 0,
    "rows_held_out": 4,
    "examples": 24,
    "tokens_in": 3000,
    "tokens_trained": 1500,
    "tokens_masked": 1300,
    "tokens_truncated": 0,
    "tokens_dropped": 200,
    "packs": 24,
    "pack_length": None,
    "max_seq_length": 2048,
    "cells": 2800,
    "padding": 0,
}

SETTINGS = {
    "data": ["https://me:secret@host/pairs.jsonl?X-Amz-Signature=1f3a"],
    "model": "org/tiny-llama",
    "method": "dpo",
    "eval_size": 4,
    "training": {"batch_size": 2, "gradient_accumulation_steps": 3, "max_steps": 6},
}


def at(after: float, kind: str, /, **fields: Any) -> dict[str, Any]:
    """An event so many seconds after the run was created."""
    return {"time": CREATED + after, "kind": kind, **fields}


def state(seconds: float, name: str, **fields: Any) -> dict[str, Any]:
    return at(seconds, "state", state=name, **fields)


def step(seconds: float, rank: int, number: int, loss: float, **fields: Any) -> dict[str, Any]:
    """A step of 2 s: rank 0 has 100 tokens and rank 1 has 200."""
    given = {
        "rank": rank,
        "world_size": 2,
        "step": number,
        "total_steps": 6,
        "loss": loss,
        "grad_norm": None,
        "learning_rate": 5e-6,
        "tokens": 100 * (rank + 1),
        "trained_tokens": 150,
        "tokens_per_second": 50.0 * (rank + 1),
        "step_seconds": 2.0,
        "memory_bytes": 3_000_000_000 + 100_000_000 * number,
        "data_wait_seconds": 0.0,
        "own_seconds": 0.5 * (rank + 1),
        "metrics": {"rewards/margins": 0.1 * number, "rewards/accuracies": 0.5 + 0.05 * number},
    }
    return at(seconds, "step", **(given | fields))


def start(seconds: float) -> list[dict[str, Any]]:
    """Two ranks that take 10 s to import, 4 s to load the model, and 3 s more to be ready."""
    marks = {"started": 0.0, "imported": 10.0, "loaded": 14.0, "data": 15.0, "joined": 16.0, "ready": 17.0}
    return [
        at(seconds + after + 0.5 * rank, "mark", rank=rank, name=name)
        for name, after in marks.items()
        for rank in (0, 1)
    ]


def answers(seconds: float, moment: str, completion: str) -> dict[str, Any]:
    sample = {"prompt": "Say *hi* | bye\nnow", "completion": completion, "reference": "<b>hi</b>"}
    return at(seconds, "generation", moment=moment, samples=[sample])


FIRST_ATTEMPT = [
    state(0, "created"),
    at(1, "message", level="info", text="starting"),
    state(5, "preparing"),
    *start(5),
    at(8, "prepared", key="0123abcd", cached=False, seconds=3.0, ledger=LEDGER),
    at(8, "message", level="warning", text="2 of 30 rows cannot be used"),
    state(8.5, "warming"),
    at(
        21,
        "versions",
        torch="2.13.0",
        trl="1.15.0",
        python="3.11.9",
        platform="Linux",
        devices=["H200", "H200"],
    ),
    state(22.5, "training"),
    answers(23, "before", "`what`?"),
    at(25, "eval", step=0, metrics={"loss": 0.7, "accuracy": 0.5, "margin": 0.0}, num_units=4, seconds=2.0),
    *(step(25 + 2 * n, rank, n, 0.8 - 0.1 * n) for n in (1, 2) for rank in (0, 1)),
    at(30, "checkpoint", step=2, path="checkpoints/step-2", seconds=0.5, bytes=12_000_000),
    *(step(26 + 2 * n, rank, n, 9.0) for n in (3, 4) for rank in (0, 1)),
]

SECOND_ATTEMPT = [
    at(NEXT_DAY, "message", level="info", text="starting again"),
    state(NEXT_DAY + 2, "preparing"),
    at(NEXT_DAY + 3, "prepared", key="0123abcd", cached=True, seconds=0.1, ledger=LEDGER),
    state(NEXT_DAY + 3, "warming"),
    *start(NEXT_DAY + 3),
    at(NEXT_DAY + 21, "resumed", step=2, checkpoint="checkpoints/step-2"),
    state(NEXT_DAY + 21, "training"),
    *(step(NEXT_DAY + 16 + 2 * n, rank, n, 0.8 - 0.1 * n) for n in (3, 4, 5, 6) for rank in (0, 1)),
    at(NEXT_DAY + 28, "mark", rank=0, name="trained"),
    at(NEXT_DAY + 28, "mark", rank=1, name="trained"),
    at(
        NEXT_DAY + 31,
        "eval",
        step=6,
        metrics={"loss": 0.3, "accuracy": 0.75, "margin": 0.4},
        num_units=4,
        seconds=2.0,
    ),
    answers(NEXT_DAY + 32, "after", "hi\n\nthere"),
    state(NEXT_DAY + 32, "saving"),
    at(NEXT_DAY + 34, "mark", rank=0, name="saved"),
    at(NEXT_DAY + 34, "mark", rank=1, name="saved"),
    at(NEXT_DAY + 34, "result", adapter_dir="adapter", final_loss=0.2, tokens_per_second=150.0, seconds=24.0),
    state(NEXT_DAY + 35, "completed"),
]

EVENTS = [*FIRST_ATTEMPT, *SECOND_ATTEMPT]


def write_run(
    path: Path, events: Sequence[dict[str, Any]], settings: dict[str, Any] = SETTINGS
) -> RunDirectory:
    """A run directory with these events."""
    path.mkdir(parents=True, exist_ok=True)
    run = RunDirectory(path)
    run.config_path.write_text(json.dumps(OpenSlothConfig.of(settings).resolved().model_dump(mode="json")))
    run.write_launch(Launch("/models/tiny", ("cuda:0", "cuda:1"), "0123abcd"))
    run.events_path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return run
