"""Which trainer a method has. Each is imported when it is called, after unsloth."""

from collections.abc import Callable
from typing import Any

from opensloth_core.training.job import RankJob

TrainerFactory = Callable[[RankJob, Any, Any, list[Any]], Any]
"""From (job, model, tokenizer, callbacks) to a trainer that is ready for `train()`."""


def _sft(job: RankJob, model: Any, tokenizer: Any, callbacks: list[Any]) -> Any:
    from opensloth_core.training.sft import sft_trainer

    return sft_trainer(job, model, tokenizer, callbacks)


def _dpo(job: RankJob, model: Any, tokenizer: Any, callbacks: list[Any]) -> Any:
    from opensloth_core.training.dpo import dpo_trainer

    return dpo_trainer(job, model, tokenizer, callbacks)


def _grpo(job: RankJob, model: Any, tokenizer: Any, callbacks: list[Any]) -> Any:
    from opensloth_core.training.grpo.trainer import grpo_trainer

    return grpo_trainer(job, model, tokenizer, callbacks)


TRAINERS: dict[str, TrainerFactory] = {"sft": _sft, "dpo": _dpo, "grpo": _grpo}
