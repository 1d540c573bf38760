"""Turns a lack of memory into a sentence: what was being done, what there was, and what would fit."""

import re
import traceback
from types import TracebackType
from typing import Any, Self

import torch

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import TrainingError
from opensloth_core.readme import more_in_readme
from opensloth_core.training.guard.advice import advice, size_text
from opensloth_core.training.guard.footprint import Footprint, ModelShape, Tried
from opensloth_core.training.guard.memory_in_use import MemoryInUse, memory_in_use

_MESSAGES = ("can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "std::bad_alloc")
"""Of a RuntimeError that is a lack of memory: torch's allocators, the CUDA driver, cuBLAS, C++."""

_ASKED = re.compile(r"tried to allocate ([\d.]+) (bytes|KiB|MiB|GiB)", re.IGNORECASE)
_BYTES = {"bytes": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30}

_UNIT = {"sft": "packs", "dpo": "pairs", "grpo": "completions"}

_DOING = {
    "load_model": "while the model was loaded",
    "measure": "while the size of a micro-batch was measured",
    "evaluate": "in an evaluation",
    "generate": "while completions were generated",
    "backward": "in the backward pass",
    "compute_loss": "in the forward pass",
    "step": "in the optimizer's step",
    "save_adapter": "while the adapter was saved",
}
"""By the innermost of these functions that was running."""


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error says that memory ran out, on a GPU or in RAM."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _MESSAGES)


class MemoryGuard:
    """A context in which a lack of memory is raised as a `TrainingError` that a person can act on."""

    def __init__(self, config: OpenSlothConfig, rank: int, world_size: int, device: str) -> None:
        self._config, self._rank, self._world_size, self._device = config, rank, world_size, device
        self._trainer: Any = None
        self._loaded_bytes = 0

    def watch(self, trainer: Any) -> None:
        """From now on, say what would fit; called with the model loaded and nothing trained yet."""
        self._trainer = trainer
        self._loaded_bytes = memory_in_use(self._device, self._world_size).used

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and is_out_of_memory(error):
            raise TrainingError(self._message(error)) from error

    def _message(self, error: BaseException) -> str:
        in_use = memory_in_use(self._device, self._world_size)
        asked = _asked_bytes(error)
        more = f"{size_text(asked)} more were asked for with " if asked else ""
        where = f"{_doing(error)} on rank {self._rank}"
        if self._trainer is not None:
            where += f" at step {self._trainer.state.global_step + 1}"
        return (
            f"out of memory {where}: {more}{size_text(in_use.used)} in use by this rank and "
            f"{size_text(in_use.free)} free ({in_use.where}). {self._outlook(in_use, asked)}"
            f"{more_in_readme('Batches')}"
        )

    def _outlook(self, in_use: MemoryInUse, asked: int) -> str:
        if self._trainer is None:
            smaller = ", or --finetuning-type qlora" if self._can_quantize() else ""
            return f"The model does not fit: take a smaller one{smaller}"
        footprint, tried = self._footprint(), self._tried()
        fixed = footprint.fixed_bytes()
        # What was there and did not suffice is the least that the activations need.
        activations = max(
            footprint.activation_bytes(tried), in_use.limit - fixed, in_use.used + asked - fixed
        )
        scale = activations / footprint.activation_bytes(tried)

        def need(other: Tried) -> float:
            quantize = other.quantized and not tried.quantized
            return float(footprint.fixed_bytes(quantize) + scale * footprint.activation_bytes(other))

        fitting = advice(tried, need, in_use.limit, self._can_quantize())
        if not fitting:
            return f"It ran {self._title(tried)}. Nothing smaller fits: take a smaller model or a larger GPU"
        return f"It ran {self._title(tried)}. What should fit, the least harm first: {'; or '.join(fitting)}"

    def _can_quantize(self) -> bool:
        return self._config.finetuning_type == "lora" and self._device != "cpu"

    def _tried(self) -> Tried:
        config, job = self._config, self._trainer.job
        generated = config.grpo.max_completion_length if config.method == "grpo" else 0
        return Tried(
            job.batch.batch_size,
            job.batch.gradient_accumulation_steps,
            int(job.units["num_tokens"].max()) + generated,
            bool(self._trainer.args.gradient_checkpointing),
            config.finetuning_type == "qlora",
        )

    def _footprint(self) -> Footprint:
        trainer = self._trainer
        weights = list(trainer.model.parameters())
        return Footprint(
            shape=ModelShape.of(trainer.model.config),
            loaded=self._loaded_bytes,
            weights=sum(one.numel() * one.element_size() for one in weights),
            trained=sum(one.numel() for one in weights if one.requires_grad),
            bytes_per_number=_compute_dtype(trainer).itemsize,
            optimizer=self._config.training.optimizer,
            world_size=self._world_size,
        )

    def _title(self, tried: Tried) -> str:
        config = self._config
        dtype = str(_compute_dtype(self._trainer)).removeprefix("torch.")
        checkpointing = "with" if tried.checkpointing else "without"
        return (
            f"{config.method} {config.finetuning_type} in {dtype} on micro-batches of {tried.batch_size} "
            f"{_UNIT[config.method]} of up to {tried.tokens} tokens, {checkpointing} gradient "
            "checkpointing"
        )


def _compute_dtype(trainer: Any) -> torch.dtype:
    if trainer.args.bf16 or trainer.args.fp16:
        return torch.bfloat16 if trainer.args.bf16 else torch.float16
    found: torch.dtype = trainer.model.get_input_embeddings().weight.dtype
    return found


def _asked_bytes(error: BaseException) -> int:
    found = _ASKED.search(str(error))
    return round(float(found[1]) * _BYTES[found[2].lower()]) if found else 0


def _doing(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    names = [frame.name for frame in reversed(frames)]
    return next((_DOING[name] for name in names if name in _DOING), "while training was prepared")
