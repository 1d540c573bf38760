"""What shapes prepared data."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field, NonNegativeInt, PositiveInt

from opensloth_core.config.base import Settings
from opensloth_core.config.gpus import Gpus


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


class DatasetPrepConfig(Settings):
    """Everything that decides what the prepared data of a run is."""

    data: str = Field(min_length=1, validation_alias=AliasChoices("data", "input", "dataset_name"))
    """Training data: a .json or .jsonl file."""

    model: str = Field(min_length=1, validation_alias=AliasChoices("model", "model_name", "tok_name"))
    """Model to fine-tune: a folder, a hub id, or "embedded" (SmolLM2-135M-Instruct)."""

    method: Literal["sft"] = Field(default="sft", validation_alias=AliasChoices("method", "training_type"))
    """Training method."""

    gpus: Gpus = "auto"
    """Number of GPUs, device ids such as 0,3, or "auto" for all; CPU processes where there is none."""

    max_seq_length: PositiveInt = Field(
        default=2048, validation_alias=AliasChoices("max_seq_length", "max_length")
    )
    """Longest example in tokens, and the length of a pack; longer examples are dropped and counted."""

    samples: PositiveInt | None = Field(default=None, validation_alias=AliasChoices("samples", "num_samples"))
    """Train on this many rows, drawn with the seed; all rows when not given."""

    max_rejected: Fraction = 0.01
    """Share of unusable rows (0.01 or 1%) over which the run stops."""

    seed: NonNegativeInt = 42
    """Seed of sampling, of the order of the data and of the adapter's initial weights."""

    data_output: Path | None = None
    """Also export the prepared data to this folder; the artifact store keeps the original."""
