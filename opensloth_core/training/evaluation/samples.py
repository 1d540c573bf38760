"""Which prompts are answered for the report, and what the data answers."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset

from opensloth_core.data.units import IGNORE_INDEX
from opensloth_core.rewards.reference import REFERENCE_COLUMNS
from opensloth_core.training.job import RankJob

MAX_OPENING = 64
"""Tokens of a plain text that are given as its beginning, where every token is trained."""


@dataclass(frozen=True)
class Sample:
    """A prompt and the answer in the data."""

    prompt_ids: list[int]
    reference_ids: list[int]
    reference: str | None = None
    """The answer where the data has it as text; None where it is `reference_ids`."""


def draw_samples(job: RankJob, held_out: Dataset | None, count: int) -> list[Sample]:
    """Up to `count` samples, drawn with the run's seed.

    From the units held out, else from the training data. Examples are taken from as many packs as there
    are before a second one comes from the same pack.
    """
    num_units = len(held_out) if held_out is not None else len(job.units["num_tokens"])
    chosen = np.random.default_rng(job.config.seed).permutation(num_units)[:count]
    rows = job.rows(chosen) if held_out is None else held_out.select(chosen).to_list()
    of_units = [list(samples_of(row, job.config.train_on == "all")) for row in rows]
    rounds = range(max((len(samples) for samples in of_units), default=0))
    return [samples[turn] for turn in rounds for samples in of_units if turn < len(samples)][:count]


def samples_of(row: Mapping[str, Any], opening: bool = False) -> Iterator[Sample]:
    """The samples of one unit: a pair's and a prompt's only one, one an example of a pack.

    Args:
        row: the unit as the columns of its table.
        opening: give the beginning of an example and ask for the rest, since every token is trained.
    """
    if "columns" in row:
        columns = json.loads(row["columns"])
        known = next((columns[name] for name in REFERENCE_COLUMNS if columns.get(name) is not None), None)
        yield Sample(row["prompt_ids"], [], "" if known is None else str(known))
    elif "chosen_ids" in row:
        yield Sample(row["prompt_ids"], row["chosen_ids"])
    else:
        stop = 0
        for length in row["seq_lengths"]:
            start, stop = stop, stop + length
            tokens, labels = row["input_ids"][start:stop], row["labels"][start:stop]
            sample = _opening(tokens) if opening else _first_answer(tokens, labels)
            if sample is not None:
                yield sample


def _opening(tokens: list[int]) -> Sample | None:
    cut = min(len(tokens) // 2, MAX_OPENING)
    return Sample(tokens[:cut], tokens[cut:]) if cut else None


def _first_answer(tokens: list[int], labels: Sequence[int]) -> Sample | None:
    """What comes before the first trained token, and the trained tokens from there on."""
    trained = [label != IGNORE_INDEX for label in labels]
    if True not in trained:
        return None
    first = trained.index(True)
    # The later part of a split example begins inside an answer.
    if first < 2:
        return None
    stop = trained.index(False, first) if False in trained[first:] else len(trained)
    return Sample(tokens[:first], tokens[first:stop])
