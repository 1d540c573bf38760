"""Finds the rows that a non-finite loss came from, by running them again one at a time.

Shapes: T tokens of one sequence.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from opensloth_core.data.origins import Origin, read_origins
from opensloth_core.training.job import RankJob
from opensloth_core.training.plan import FILLER

SHOWN_CHARACTERS = 80
"""Of a row's text."""

SHOWN_FIRST = 3
"""Rows shown of a micro-batch in which none is bad alone."""


@dataclass(frozen=True)
class Candidate:
    """One sequence of tokens that the model ran."""

    origin: Origin | None
    """The row it comes from, where the prepared data says so."""

    part: str
    """Which side of a pair it is; empty elsewhere."""

    input_ids_T: Sequence[int]
    labels_T: Sequence[int]


@dataclass(frozen=True)
class Examined:
    """What became of the rows of a micro-batch."""

    micro_batch: int
    """From 1."""

    loss: float
    num_rows: int
    culprits: tuple[str, ...]
    """The rows that give a non-finite loss alone: place and text."""

    first_rows: tuple[str, ...]
    """A few of all."""


def examine(trainer: Any, job: RankJob, step: int, micro_batch: int, loss: float) -> Examined:
    """Run every sequence of a micro-batch alone, with the weights as they are now.

    Args:
        step: from 1.
        micro_batch: from 0; for GRPO, which plans the prompts of a whole step, the rows are all of these.
    """
    units_AB = job.plan.units_SWAB[step - 1, job.rank]
    units = units_AB[micro_batch if len(units_AB) > 1 else 0]
    sequences = [one for unit in units.tolist() if unit != FILLER for one in _sequences(job, unit)]
    found = [one for one in sequences if not _is_finite(trainer, one)]
    show = [_shown(trainer.processing_class, one) for one in sequences[:SHOWN_FIRST]]
    culprits = [_shown(trainer.processing_class, one) for one in found]
    return Examined(micro_batch + 1, loss, len(sequences), tuple(culprits), tuple(show))


def _sequences(job: RankJob, unit: int) -> Iterator[Candidate]:
    row = job.rows(np.array([unit]))[0]
    origins = read_origins(job.data_dir, unit, job.manifest.inputs)
    if job.config.method == "sft":
        ends = np.cumsum(row["seq_lengths"])
        for number, (start, end) in enumerate(zip(ends - row["seq_lengths"], ends, strict=True)):
            ids, labels = row["input_ids"][start:end], row["labels"][start:end]
            yield Candidate(origins[number] if origins else None, "", ids, labels)
        return
    origin = origins[0] if origins else None
    prompt = row["prompt_ids"]
    if job.config.method == "grpo":
        yield Candidate(origin, "", prompt, prompt)
        return
    for part in ("chosen", "rejected"):
        ids = prompt + row[f"{part}_ids"]
        yield Candidate(origin, part, ids, ids)


def _is_finite(trainer: Any, sequence: Candidate) -> bool:
    """Whether the model's loss on one sequence, alone, is a number.

    The model is asked without DDP around it, since other ranks run other sequences or none.
    """
    model = trainer.accelerator.unwrap_model(trainer.model)
    inputs = {"input_ids": sequence.input_ids_T, "labels": sequence.labels_T}
    tensors = {name: torch.tensor([ids], device=model.device) for name, ids in inputs.items()}
    with torch.no_grad(), trainer.compute_loss_context_manager():
        return bool(torch.isfinite(model(**tensors).loss))


def _shown(tokenizer: Any, sequence: Candidate) -> str:
    """`train.jsonl:17 "How many …"`."""
    text = " ".join(tokenizer.decode(sequence.input_ids_T).split())
    short = text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
    parts = [str(sequence.origin) if sequence.origin else "", sequence.part, f'"{short}"']
    return " ".join(part for part in parts if part)
