"""The whole configuration of a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import AliasChoices, Field, NonNegativeFloat, NonNegativeInt, model_validator

from opensloth_core.config.batch import BatchPlan, batch_plan, check_groups
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.methods import METHOD_DEFAULTS, DpoArguments, GrpoArguments
from opensloth_core.config.training import LoraArguments, TrainingArguments
from opensloth_core.errors import OpenSlothError


class OpenSlothConfig(DatasetPrepConfig):
    """A run: its data preparation, and the training that follows."""

    finetuning_type: Literal["lora", "qlora", "full"] = "lora"
    """Train an adapter (lora), an adapter on a 4-bit model (qlora, GPU only), or all weights (full)."""

    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """Number format of weights and activations; "auto" is bfloat16 where the device is fast in it.
    With all weights trained on a GPU, float32 is that of the weights; products are bfloat16. A whole
    model is saved in this format, with "auto" in the one it came in."""

    output: Path | None = Field(default=None, validation_alias=AliasChoices("output", "output_dir"))
    """Also copy the trained adapter to this new or empty folder; the run directory keeps the original."""

    init_from: str | None = Field(default=None, min_length=1)
    """Start from the result of this run instead of from a model: its name, how it begins, the four characters
    at its end, its folder, or "last"."""

    pretrained_lora: Path | None = None
    """Folder of an adapter of this model to go on training, instead of a new one; the reference policy of
    dpo and grpo is the model with it."""

    merge_lora: bool = False
    """Merge the adapter that is given into the model's weights, and train a new one. The merged model is
    saved once and is the new adapter's base; with qlora it is merged before it is rounded to 4 bits."""

    trust_remote_code: bool = False
    """Run the Python code that a model's folder brings, where transformers does not know its architecture;
    that code can do all that you can. Tokenizers of their own code are never run."""

    lora: LoraArguments = LoraArguments()
    """The low-rank adapter."""

    stall_timeout_seconds: NonNegativeFloat = Field(
        default=1800, validation_alias=AliasChoices("stall_timeout_seconds", "stall_timeout")
    )
    """End the run when no rank does anything for so long, and name the one the others wait for; 0 waits for
    ever. It has to cover the longest load, first step and save."""

    max_restarts: NonNegativeInt = 0
    """How often training may go on from its last checkpoint by itself after a rank was killed, lost its
    device or stood still; mistakes and losses that are no numbers end it at once."""

    training: TrainingArguments = TrainingArguments()
    """Optimizer, schedule, batches, checkpoints and evaluation."""

    dpo: DpoArguments = DpoArguments()
    """What only DPO has."""

    grpo: GrpoArguments = GrpoArguments()
    """What only GRPO has."""

    @model_validator(mode="before")
    @classmethod
    def _start_from_a_run(cls, values: Any) -> Any:
        """`init_from` as the `model` that it means, so that a run's record says what it started from."""
        run = values.get("init_from") if isinstance(values, Mapping) else None
        if not isinstance(run, str) or not run:
            return values
        # Runs have configurations, so their modules import this one.
        from opensloth_core.runs.result import named_result

        model_names = cls.model_fields["model"].validation_alias
        assert isinstance(model_names, AliasChoices), "model has names of the ancestor"
        rivals = [
            name for name in (*model_names.choices, "pretrained_lora") if values.get(str(name)) is not None
        ]
        if rivals:
            raise ValueError(f"init_from {run}: names model and adapter; drop {rivals[0]}")
        try:
            result = named_result(run)
        except OpenSlothError as err:
            raise ValueError(f"init_from {err}") from err
        return {name: value for name, value in values.items() if name != "init_from"} | {"model": str(result)}

    @model_validator(mode="after")
    def _check_method_settings(self) -> Self:
        for method in ("dpo", "grpo"):
            group = getattr(self, method)
            changed = [
                name
                for name, field in type(group).model_fields.items()
                if getattr(group, name) != field.default
            ]
            if changed and method != self.method:
                raise ValueError(f"{', '.join(changed)}: has no meaning for method {self.method}; drop it")
        if self.method == "grpo" and self.training.batch_size == "auto":
            raise ValueError('batch_size "auto": not for method grpo, whose completions vary; give a number')
        if self.method == "grpo" and not self.grpo.reward:
            raise ValueError("reward: required for method grpo, such as math or package.module:function")
        return self

    @property
    def title(self) -> str:
        """The run in one line: `sft · gemma-3-4b-it · my_data · 2 GPUs`."""
        gpus = len(self.gpus) if isinstance(self.gpus, tuple) else self.gpus
        count = {"auto": "all GPUs", 1: "1 GPU"}.get(gpus, f"{gpus} GPUs")
        return f"{self.method} · {self.model_title} · {self.data_title} · {count}"

    @property
    def preparation(self) -> DatasetPrepConfig:
        """The part of this configuration that decides the prepared data."""
        values = {name: getattr(self, name) for name in DatasetPrepConfig.model_fields}
        return DatasetPrepConfig.of(values)

    def batch_plan(self, world_size: int, batch_size: int | None = None) -> BatchPlan:
        """Batch numbers for `world_size` ranks.

        Args:
            batch_size: units in a micro-batch, instead of the setting.

        Raises:
            ConfigError: the batch settings contradict each other at this world size.
        """
        training = self.training
        size = batch_size or self.batch_size
        if training.batch_size is None and (training.global_batch_size or 0) % (size * world_size):
            size = 1  # nobody asked for the default
        plan = batch_plan(
            size,
            training.gradient_accumulation_steps,
            training.global_batch_size,
            world_size,
        )
        if self.method == "grpo":
            check_groups(plan, self.grpo.num_generations)
        return plan

    @property
    def batch_size(self) -> int:
        """Units in a micro-batch where none are measured: as set, else the method's; 1 for "auto"."""
        given = self.training.batch_size
        if given is not None:
            return 1 if given == "auto" else given
        return METHOD_DEFAULTS[self.method].batch_size or self.grpo.num_generations

    def measures_batch(self, on_gpu: bool) -> bool:
        """Whether the ranks find out how large a micro-batch may be."""
        training = self.training
        if training.batch_size is not None:
            return training.batch_size == "auto"
        return on_gpu and self.method != "grpo" and training.gradient_accumulation_steps is None

    def measures_checkpointing(self, on_gpu: bool) -> bool:
        """Whether the ranks find out if activations have to be recomputed."""
        return on_gpu and self.method != "grpo" and self.training.gradient_checkpointing is None

    @property
    def learning_rate(self) -> float:
        """Peak learning rate: as set, else the method's."""
        default = METHOD_DEFAULTS[self.method].learning_rate(self.finetuning_type == "full")
        return self.training.learning_rate or default

    @property
    def context_length(self) -> int:
        """Longest sequence the model runs, in tokens."""
        completion = self.grpo.max_completion_length if self.method == "grpo" else 0
        return self.max_seq_length + completion

    def resolved(self) -> Self:
        """This configuration with the method's defaults written out."""
        # That of other methods is decided where they run.
        batch_size = self.batch_size if self.method == "grpo" else self.training.batch_size
        training = self.training.model_copy(
            update={"learning_rate": self.learning_rate, "batch_size": batch_size}
        )
        return self.model_copy(update={"training": training})
