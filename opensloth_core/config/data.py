"""What shapes prepared data."""

import re
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    PositiveInt,
    model_validator,
)

from opensloth_core.config.base import Settings
from opensloth_core.config.concealed import concealed
from opensloth_core.config.gpus import Gpus
from opensloth_core.config.prepared import contradiction, with_own_settings


def parse_fraction(value: Any) -> Any:
    """`"1%"` as 0.01; everything else unchanged.

    Raises:
        ValueError: what stands before the percent sign is no number.
    """
    if not isinstance(value, str) or not value.strip().endswith("%"):
        return value
    try:
        return float(value.strip().removesuffix("%")) / 100
    except ValueError as err:
        raise ValueError("must be a share such as 0.01 or 1%") from err


Fraction = Annotated[float, BeforeValidator(parse_fraction), Field(ge=0, le=1)]


def parse_eval_size(value: Any) -> float:
    """`"5%"` and `0.05` as 0.05, `"500"` as 500.

    Raises:
        ValueError: neither a share of less than all rows nor a number of rows.
    """
    try:
        size = float(parse_fraction(value))
    except (TypeError, ValueError):
        size = 0.0
    # What is written as a share is one: 200% are not 2 rows.
    is_count = size >= 1 and size.is_integer() and "%" not in str(value)
    if not (0 < size < 1 or is_count):
        raise ValueError("must be a share such as 0.05 or a number of rows such as 500")
    return size


def parse_sources(value: Any) -> Any:
    """One source as a tuple of one; without what records must not hold, see `concealed`."""
    if isinstance(value, str | Path):
        value = (str(value),)
    if not isinstance(value, list | tuple):
        return value
    return tuple(concealed(one) if isinstance(one, str) else one for one in value)


def parse_map(value: Any) -> Any:
    """`("messages=dialogue", …)` as a mapping; everything else unchanged.

    Raises:
        ValueError: a pair without `=`, or a name given twice.
    """
    if isinstance(value, str):
        value = (value,)
    if not isinstance(value, list | tuple):
        return value
    pairs = [str(pair).partition("=") for pair in value]
    if any(not name or not column for name, _, column in pairs):
        raise ValueError("must be NAME=COLUMN, such as messages=dialogue")
    if len({name for name, _, _ in pairs}) != len(pairs):
        raise ValueError("names one thing twice")
    return {name: column for name, _, column in pairs}


Method = Literal["sft", "dpo", "grpo"]
TrainOn = Literal["assistant", "last-assistant", "all"]

Source = Annotated[str, Field(min_length=1)]
DataSources = Annotated[tuple[Source, ...], BeforeValidator(parse_sources), Field(min_length=1)]
ColumnMap = Annotated[dict[str, str], BeforeValidator(parse_map)]
EvalSize = Annotated[float, BeforeValidator(parse_eval_size)]


_RUN_NAME = re.compile(r"-\d{8}-\d{6}-([0-9a-f]{4})$")

_OVERLONG = {
    "sft": ("drop", "truncate", "split", "error"),
    "dpo": ("drop", "truncate", "error"),
    "grpo": ("drop", "error"),
}


class DatasetPrepConfig(Settings):
    """Everything that decides what the prepared data of a run is."""

    data: DataSources = Field(validation_alias=AliasChoices("data", "input", "dataset_name"))
    """Training data: files, folders, globs, URLs (s3://, https://, …) or a hub data set
    (org/name[:config][@revision]); json, jsonl, csv, tsv, parquet, arrow or text, also compressed."""

    model: str = Field(min_length=1, validation_alias=AliasChoices("model", "model_name", "tok_name"))
    """Model to fine-tune: a folder, a hub id, "embedded" (SmolLM2-135M-Instruct), or the folder of an
    adapter or of a run to go on from."""

    method: Method = Field(default="sft", validation_alias=AliasChoices("method", "training_type"))
    """Training method."""

    gpus: Gpus = "auto"
    """Number of GPUs, device ids such as 0,3, or "auto" for all that are free; CPU processes where there is
    none."""

    max_seq_length: PositiveInt = Field(
        default=2048, validation_alias=AliasChoices("max_seq_length", "max_length")
    )
    """Longest example in tokens, and the length of a pack; longer examples are dropped and counted."""

    overlong: Literal["drop", "truncate", "split", "error"] = "drop"
    """What becomes of an example longer than max_seq_length: leave it out, cut its end off, train its
    parts as examples of their own, or stop."""

    split: str | None = Field(default=None, min_length=1)
    """Which split of the data to use, such as train or test; the train split when there are several."""

    map: ColumnMap = Field(default_factory=dict)
    """Which column holds what, as NAME=COLUMN: messages=dialogue, prompt=question, role=speaker, …;
    found from the columns' names when not given."""

    train_on: TrainOn = "assistant"
    """Which tokens are trained: what the assistant says, only its last turn, or everything."""

    samples: PositiveInt | None = Field(default=None, validation_alias=AliasChoices("samples", "num_samples"))
    """Use this many rows, those held out included; all rows when not given."""

    samples_from: Literal["random", "head"] = "random"
    """Draw the samples with the seed, or take the first rows."""

    eval_size: EvalSize | None = None
    """Hold out this share (0.05, 5%) or number (500) of the rows for evaluation, drawn with the seed; rows
    with the same prompt stay together. A share is each prompt's chance, so rows stay where they are as
    data grows."""

    max_rejected: Fraction = 0.01
    """Share of unusable rows (0.01 or 1%) over which the run stops."""

    seed: int = Field(default=42, ge=0, lt=2**32)
    """Seed of sampling, of the order of the data and of the adapter's initial weights."""

    prepared: str | None = Field(default=None, min_length=1)
    """Train on data that was prepared before, whatever became of its sources: its key or how that begins, its
    folder, or a run that had it. Model, method, GPU count and all that shaped it are its own then."""

    data_output: Path | None = None
    """Also export the prepared data to this folder; the artifact store keeps the original."""

    verify: bool = False
    """Read every byte of prepared data that is found again and compare digests; without it, files count by
    existence and size."""

    @model_validator(mode="before")
    @classmethod
    def _take_from_prepared(cls, values: Any) -> Any:
        """What the prepared data was made with, where a run that trains on it does not say so again."""
        if not isinstance(values, Mapping) or not isinstance(values.get("prepared"), str):
            return values
        return with_own_settings(values, cls) if values["prepared"] else values

    @model_validator(mode="after")
    def _check_prepared(self) -> Self:
        if self.prepared is not None and (problem := contradiction(self)):
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _check_method(self) -> Self:
        possible = _OVERLONG[self.method]
        if self.overlong not in possible:
            raise ValueError(
                f"overlong {self.overlong}: has no meaning for method {self.method}; "
                f"possible: {', '.join(possible)}"
            )
        if self.method != "sft" and self.train_on != "assistant":
            raise ValueError(f"train_on {self.train_on}: has no meaning for method {self.method}; drop it")
        if self.samples is None and self.samples_from != "random":
            raise ValueError(f"samples_from {self.samples_from}: has no effect without samples; give both")
        return self

    @property
    def model_title(self) -> str:
        """The model in a word: `gemma-3-4b-it`; `run-3f2a` where it is the result of a run of that id, a
        promoted model by its name.
        """
        path = PurePath(self.model.rstrip("/"))
        if path.name == "current" and path.parent.name:
            path = path.parent
        run = _RUN_NAME.search(path.parent.name if path.name == "adapter" else path.name)
        return f"run-{run[1]}" if run else path.name

    @property
    def data_title(self) -> str:
        """The data in a word or two: `my_data`, `train +2`."""
        first = PurePath(self.data[0].rstrip("/")).name
        stem = PurePath(first).stem or first
        return stem if len(self.data) == 1 else f"{stem} +{len(self.data) - 1}"
