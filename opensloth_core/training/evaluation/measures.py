"""Which measure a method has."""

from collections.abc import Callable
from typing import Any

from opensloth_core.training.evaluation.measure import Measure
from opensloth_core.training.job import RankJob


def measure_of(job: RankJob, trainer: Any, tokenizer: Any) -> Measure:
    """The measure of the run's method."""
    return _MEASURES[job.config.method](job, trainer, tokenizer)


def _sft(job: RankJob, trainer: Any, tokenizer: Any) -> Measure:
    from opensloth_core.training.evaluation.sft import TokenMeasure

    return TokenMeasure(trainer, job.device)


def _dpo(job: RankJob, trainer: Any, tokenizer: Any) -> Measure:
    from opensloth_core.training.evaluation.dpo import PairMeasure

    return PairMeasure(trainer, job.config.dpo, job.device)


def _grpo(job: RankJob, trainer: Any, tokenizer: Any) -> Measure:
    from opensloth_core.training.evaluation.answers import greedy_sampling
    from opensloth_core.training.evaluation.grpo import RewardMeasure

    return RewardMeasure(trainer, tokenizer, greedy_sampling(trainer.model, tokenizer), job.config.grpo)


_MEASURES: dict[str, Callable[[RankJob, Any, Any], Measure]] = {"sft": _sft, "dpo": _dpo, "grpo": _grpo}
