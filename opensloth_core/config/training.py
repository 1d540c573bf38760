"""How a model is trained: adapter, optimizer, batches."""

from collections.abc import Callable, Container
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from opensloth_core.config.base import Settings

LINEAR_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def parse_names(value: Any) -> Any:
    """`"q_proj, v_proj"` as its names; everything else unchanged."""
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return value


BatchSize = Literal["auto"] | PositiveInt
Names = Annotated[tuple[str, ...], BeforeValidator(parse_names), Field(min_length=1)]


def both_lengths(given: Container[str], spell: Callable[[str], str]) -> str | None:
    """What is wrong where a person gave both lengths of a run, of which one would be ignored.

    No rule of the models: in a run's record both may stand.

    Args:
        given: names of settings.
        spell: how the person knows a setting.
    """
    if "epochs" in given and "max_steps" in given:
        return f"{spell('max_steps')} is instead of {spell('epochs')}; give one of the two"
    return None


class LoraArguments(Settings):
    """The low-rank adapter. Source: Hu et al. 2021, arXiv:2106.09685."""

    lora_rank: PositiveInt = Field(default=16, validation_alias=AliasChoices("lora_rank", "r"))
    """Rank of the adapter matrices."""

    lora_alpha: PositiveFloat = 32
    """Adapter scale: updates are multiplied by lora_alpha / lora_rank."""

    lora_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on the adapter's input."""

    target_modules: Names = LINEAR_LAYERS
    """Linear layers that get an adapter, separated by commas; of the default, those that the model has."""


class TrainingArguments(Settings):
    """Optimizer, schedule and batches of a run."""

    epochs: PositiveFloat = Field(default=1.0, validation_alias=AliasChoices("epochs", "num_train_epochs"))
    """Passes over the data; the last may be a part of one."""

    max_steps: PositiveInt | None = None
    """Number of optimizer steps, instead of epochs."""

    batch_size: BatchSize | None = Field(
        default=None, validation_alias=AliasChoices("batch_size", "per_device_train_batch_size")
    )
    """Packs (sft), pairs (dpo) or completions (grpo) in one micro-batch on one GPU, or "auto" (sft, dpo) for
    as many as its memory holds. When not given, "auto" on GPUs and 2 on CPUs; with grpo num_generations."""

    gradient_accumulation_steps: PositiveInt | None = None
    """Micro-batches added up in one optimizer step; 1 when not given."""

    global_batch_size: PositiveInt | None = None
    """Packs, pairs or completions in one optimizer step over all GPUs; sets the accumulation instead. With
    "auto" 16 a GPU when not given, fewer where the data would not make 50 steps of them."""

    learning_rate: PositiveFloat | None = Field(
        default=None, validation_alias=AliasChoices("learning_rate", "lr")
    )
    """Peak learning rate; when not given 2e-4 for sft, 5e-6 for dpo and grpo, and a tenth of that where
    all weights are trained (grpo: 1e-6)."""

    lr_scheduler: Literal["linear", "cosine", "constant"] = Field(
        default="cosine", validation_alias=AliasChoices("lr_scheduler", "lr_scheduler_type")
    )
    """How the learning rate falls after warm-up; constant stays."""

    warmup_ratio: float = Field(default=0.05, ge=0, le=1)
    """Share of the steps over which the learning rate rises from 0."""

    weight_decay: NonNegativeFloat = 0.01
    """Decoupled weight decay."""

    max_grad_norm: PositiveFloat = 1.0
    """Gradients are scaled down to this norm."""

    optimizer: Literal["adamw_torch", "adamw_8bit", "sgd"] = Field(
        default="adamw_torch", validation_alias=AliasChoices("optimizer", "optim")
    )
    """Optimizer; adamw_8bit keeps its state in 8 bits (GPU only)."""

    gradient_checkpointing: bool | None = None
    """Recompute activations to save memory; when not given, on GPUs where a step does not fit or is slower
    without (grpo: always), and on CPUs not."""

    save_steps: NonNegativeInt = 100
    """Optimizer steps between checkpoints, from which a run that was killed resumes; 0 saves none."""

    save_total_limit: PositiveInt = 2
    """Newest checkpoints that are kept."""

    eval_steps: PositiveInt | None = None
    """Optimizer steps between evaluations on the rows held out; only at the end when not given."""

    eval_generations: NonNegativeInt = 3
    """Prompts answered before and after training, for the report."""

    report_to: Names = ("none",)
    """Trackers that metrics also go to, separated by commas: wandb, tensorboard, mlflow and so on."""

    @model_validator(mode="after")
    def _one_batch_size(self) -> "TrainingArguments":
        given, total = self.gradient_accumulation_steps, self.global_batch_size
        if self.batch_size == "auto" and given:
            raise ValueError(
                f'gradient_accumulation_steps {given}: batch_size "auto" decides it; give global_batch_size'
            )
        if isinstance(self.batch_size, int) and given and total and total % (self.batch_size * given):
            raise ValueError(
                f"global_batch_size {total} is not a multiple of batch_size {self.batch_size} x "
                f"gradient_accumulation_steps {given}; give one of the two"
            )
        return self
