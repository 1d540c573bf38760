"""The whole configuration of a run."""

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field

from opensloth_core.config.batch import BatchPlan, batch_plan
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.training import LoraArguments, TrainingArguments


class OpenSlothConfig(DatasetPrepConfig):
    """A run: its data preparation, and the training that follows."""

    method: Literal["sft"] = Field(default="sft", validation_alias=AliasChoices("method", "training_type"))
    """Training method."""

    finetuning_type: Literal["lora", "qlora", "full"] = "lora"
    """Train an adapter (lora), an adapter on a 4-bit model (qlora, GPU only), or all weights (full)."""

    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """Number format of weights and activations; "auto" is bfloat16 where the device is fast in it.
    With all weights trained on a GPU, float32 is that of the weights; products are bfloat16."""

    output: Path | None = Field(default=None, validation_alias=AliasChoices("output", "output_dir"))
    """Also copy the trained adapter to this new or empty folder; the run directory keeps the original."""

    lora: LoraArguments = LoraArguments()
    """The low-rank adapter."""

    training: TrainingArguments = TrainingArguments()
    """Optimizer, schedule and batches."""

    @property
    def title(self) -> str:
        """The run in one line: `sft · gemma-3-4b-it · my_data · 2 GPUs`."""
        gpus = len(self.gpus) if isinstance(self.gpus, tuple) else self.gpus
        count = {"auto": "all GPUs", 1: "1 GPU"}.get(gpus, f"{gpus} GPUs")
        return f"{self.method} · {Path(self.model).name} · {self.data_title} · {count}"

    @property
    def preparation(self) -> DatasetPrepConfig:
        """The part of this configuration that decides the prepared data."""
        values = {name: getattr(self, name) for name in DatasetPrepConfig.model_fields}
        return DatasetPrepConfig.of(values)

    def batch_plan(self, world_size: int) -> BatchPlan:
        """Batch numbers for `world_size` ranks.

        Raises:
            ConfigError: the batch settings contradict each other at this world size.
        """
        training = self.training
        return batch_plan(
            training.batch_size,
            training.gradient_accumulation_steps,
            training.global_batch_size,
            world_size,
        )
