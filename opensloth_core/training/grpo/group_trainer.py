"""The steps of GRPO, for TRL's trainer to run."""

import json
import math
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from opensloth_core.checks.positions import check_prompts
from opensloth_core.errors import OpenSlothError
from opensloth_core.rewards.constant import ConstantRewardWatch
from opensloth_core.training.evaluation.held_out import num_tokens, open_held_out
from opensloth_core.training.grpo.end_tokens import end_ids
from opensloth_core.training.grpo.generate import Generated, Sampling, generate_completions
from opensloth_core.training.grpo.loss import (
    CompletionBatch,
    completion_batch,
    group_advantages,
    score_tokens,
    summed_loss,
)
from opensloth_core.training.grpo.rank_step import RankStep, step_metrics, together
from opensloth_core.training.grpo.reference import ReferencePolicy
from opensloth_core.training.grpo.scoring import Scorer
from opensloth_core.training.job import RankJob
from opensloth_core.training.planned import PlannedTrainer

NO_PROBABILITIES = "probability tensor contains"
"""How torch begins to say that it cannot sample from numbers that are not finite."""


class GroupTrainer(PlannedTrainer):
    """Goes before TRL's GRPOTrainer in a class's bases.

    At the border of two steps it holds nothing but `extra_state`, the random numbers and what the
    transformers trainer has: no completions wait, no metrics are half counted.
    """

    model: Any
    processing_class: Any
    use_vllm: bool
    _metrics: Any

    def __init__(self, **arguments: Any) -> None:
        """Raises ConfigError where there is no such reward, or no room behind the longest prompt."""
        super().__init__(**arguments)
        self._settings = self.job.config.grpo
        check_prompts(self.job.config, Path(self.job.run.launch().model_dir), _longest_prompt(self.job))
        self._tokenizer = getattr(self.processing_class, "tokenizer", self.processing_class)
        self._sampling = Sampling(
            self._settings.max_completion_length,
            self._settings.temperature,
            self._settings.top_p,
            end_ids(self.model, self._tokenizer),
            self._tokenizer.pad_token_id,
        )
        self._scorer = Scorer(self._settings, self._tokenizer)
        self._has_told_of_rows = False
        self._watch = ConstantRewardWatch(
            self._settings.num_generations, self._settings.constant_reward_steps, self.job.plan.num_steps
        )
        self._reference = ReferencePolicy(self.model) if self._settings.kl_beta else None
        self._micro_batches: deque[CompletionBatch] = deque()
        self._step_metrics: dict[str, float] = {}
        self._tokens_in_step = 0
        self._kl_and_entropy = torch.zeros(2, device=self.job.device)

    def generate(self, prompts: Sequence[Sequence[int]]) -> Generated:
        """Completions of this rank's prompts by the policy as it is now, in their order."""
        if not self.use_vllm:
            return generate_completions(self.model, prompts, self._sampling)
        ids, log_probs = self._generate_single_turn(prompts, None, {}, self._settings.num_generations)  # type: ignore[attr-defined]
        return Generated(ids, log_probs)

    def extra_state(self) -> dict[str, Any]:
        """What a resumed run needs of this trainer beside its random numbers, as JSON."""
        return {"reward_watch": self._watch.state()}

    def restore_extra_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `extra_state` gave."""
        self._watch.restore(state["reward_watch"])

    def _prepare_inputs(self, rows: Any) -> tuple[CompletionBatch, torch.Tensor | None]:
        """The next micro-batch of completions, and what the reference gives its tokens.

        Args:
            rows: the prompts of the step, the same for each of its micro-batches.
        """
        if not self._micro_batches:
            self._micro_batches.extend(self._roll_out(rows))
        batch = self._micro_batches.popleft()
        if self._reference is None:
            return batch, None
        with self._reference.in_place(self.model), self.compute_loss_context_manager():  # type: ignore[attr-defined]
            return batch, score_tokens(self.model, batch).log_probs

    def _roll_out(self, rows: Sequence[Mapping[str, Any]]) -> list[CompletionBatch]:
        """Complete and score a step's prompts; the completions in micro-batches of near-equal length."""
        num_generations, job = self._settings.num_generations, self.job
        repeated = [row for row in rows for _ in range(num_generations)]
        prompts = [row["prompt_ids"] for row in repeated]
        generated, own = self._sampled(repeated, prompts)
        if self.own_time:
            self.own_time.add(own.generate_seconds + own.reward_seconds)
        parts = self._of_all_ranks(own)
        if not all(part.has_numbers for part in parts):
            self._stop(self.state.global_step + 1, None, None if own.has_numbers else (math.nan,))
        step = together(parts)
        self._tell_of_rows(step)
        warnings = self._watch.feed(step.rewards, step.scores, step.is_finished)
        if job.rank == 0:
            for words in warnings:
                job.run.events.message(words, "warning")
        self._tokens_in_step = step.num_trained_tokens
        self._step_metrics = {
            "tokens": sum(len(prompt) for prompt in prompts) + sum(own.num_tokens),
            "trained_tokens": self._tokens_in_step,
            **step_metrics(step, num_generations),
        }
        advantages = group_advantages(own.rewards, num_generations)
        lengths = [len(p) + len(c) for p, c in zip(prompts, generated.completion_ids, strict=True)]
        order = sorted(range(len(prompts)), key=lambda index: -lengths[index])
        size, log_probs = job.batch.batch_size, generated.log_probs
        return [
            completion_batch(
                [prompts[i] for i in chosen],
                [generated.completion_ids[i] for i in chosen],
                [advantages[i] for i in chosen],
                None if log_probs is None else [log_probs[i] for i in chosen],
                job.device,
            )
            for chosen in (order[start : start + size] for start in range(0, len(order), size))
        ]

    def _sampled(
        self, rows: Sequence[Mapping[str, Any]], prompts: Sequence[Sequence[int]]
    ) -> tuple[Generated, RankStep]:
        """Completions of this rank's prompts, and its part of the step."""
        began = time.perf_counter()
        try:
            generated = self.generate(prompts)
        except RuntimeError as err:
            if NO_PROBABILITIES not in str(err):
                raise
            return Generated([]), RankStep(has_numbers=False)
        return generated, self._scored(rows, generated, time.perf_counter() - began)

    def _scored(
        self, rows: Sequence[Mapping[str, Any]], generated: Generated, generate_seconds: float
    ) -> RankStep:
        """This rank's part of a step; an error is left for all ranks to raise together."""
        completions = generated.completion_ids
        num_tokens = [len(tokens) for tokens in completions]
        is_finished = [tokens[-1] in self._sampling.end_ids for tokens in completions]
        began = time.perf_counter()
        try:
            texts = self._tokenizer.batch_decode(completions, skip_special_tokens=True)
            columns = [json.loads(row["columns"]) for row in rows]
            prompts = [row["prompt_ids"] for row in rows]
            scored = self._scorer(columns, prompts, texts, num_tokens, is_finished)
        except OpenSlothError as err:
            return RankStep(error=err)
        return RankStep(
            rewards=scored.totals,
            scores=scored.scores,
            left_out=scored.left_out,
            num_tokens=num_tokens,
            is_finished=is_finished,
            generate_seconds=generate_seconds,
            reward_seconds=time.perf_counter() - began,
        )

    def _tell_of_rows(self, step: RankStep) -> None:
        """Warn once of rows that cannot be scored; their share of each step is a metric."""
        if not step.left_out or self._has_told_of_rows:
            return
        self._has_told_of_rows = True
        if self.job.rank == 0:
            self.job.run.events.message(
                f"{len(step.left_out)} of this step's prompts cannot be scored by every reward; completions "
                "that none applies to count for nothing, and frac_no_reward tells their share of each step. "
                f"One is {step.left_out[0]}",
                "warning",
            )

    def _of_all_ranks(self, own: RankStep) -> list[RankStep]:
        parts: list[RankStep] = [own] * self.job.world_size
        torch.distributed.all_gather_object(parts, own)
        return parts

    def compute_loss(
        self, model: Any, inputs: tuple[CompletionBatch, torch.Tensor | None], *_: Any, **__: Any
    ) -> torch.Tensor:
        """This micro-batch's part of the step's loss.

        Summed over a rank's micro-batches and averaged over ranks, as the trainer and DDP do, it is a mean
        over the tokens of all rewarded completions of the step, wherever they are.
        """
        batch, reference_BT = inputs
        scored = score_tokens(model, batch)
        loss, kl = summed_loss(scored.log_probs, batch, reference_BT, self._settings.kl_beta)
        entropy = (scored.entropy.detach() * batch.mask_BT).sum()
        self._kl_and_entropy += torch.stack([kl, entropy])
        loss = loss * (self.job.world_size / max(1, self._tokens_in_step))
        return self.own_time.timed(loss) if self.own_time else loss

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log a step with its metrics, which are those of all ranks."""
        self._metrics["train"].clear()
        if "loss" in logs and self._step_metrics:
            torch.distributed.all_reduce(self._kl_and_entropy)
            kl, entropy = (self._kl_and_entropy / max(1, self._tokens_in_step)).tolist()
            logs = {**logs, **self._step_metrics, "entropy": entropy}
            if self._reference is not None:
                logs["kl"] = kl
            self._step_metrics = {}
            self._kl_and_entropy.zero_()
        super().log(logs, *args, **kwargs)


def _longest_prompt(job: RankJob) -> int:
    """Tokens of the longest prompt that is trained or evaluated."""
    held_out = open_held_out(job.data_dir)
    evaluated = 0 if held_out is None else int(num_tokens(held_out).max())
    return max(int(job.units["num_tokens"].max()), evaluated)
