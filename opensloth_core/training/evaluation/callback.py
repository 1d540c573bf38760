"""When a run is evaluated: before its first step, every `eval_steps`, and at its end.

The last evaluation and the answers "after" come once the result is saved, so that nothing is lost where they
fail; whoever runs the trainer calls `finish` for them.
"""

from typing import Any

from transformers import TrainerCallback

from opensloth_core.runs.events import no_progress, read_events
from opensloth_core.training.device_memory import DeviceMemory
from opensloth_core.training.evaluation.answers import answers
from opensloth_core.training.evaluation.evaluator import Evaluator
from opensloth_core.training.evaluation.held_out import open_held_out
from opensloth_core.training.evaluation.measures import measure_of
from opensloth_core.training.evaluation.samples import draw_samples
from opensloth_core.training.guard.memory import is_out_of_memory
from opensloth_core.training.job import RankJob


class EvaluationCallback(TrainerCallback):
    """Writes `eval` and `generation` events; add it to its own trainer, behind what times the steps."""

    def __init__(self, job: RankJob, trainer: Any, tokenizer: Any) -> None:
        self._job, self._trainer, self._tokenizer = job, trainer, tokenizer
        measure = measure_of(job, trainer, tokenizer)
        held_out = open_held_out(job.data_dir)
        self._num_held_out = len(held_out) if held_out is not None else 0
        evaluated = open_held_out(job.data_dir, measure.max_units, job.config.seed)
        self._evaluator = (
            Evaluator(measure, evaluated, job.rank, job.world_size, job.device)
            if evaluated is not None
            else None
        )
        # Rank 0 alone answers.
        count = job.config.training.eval_generations if job.rank == 0 else 0
        self._samples = draw_samples(job, held_out, count) if count else []
        self._steps_done: set[int] = set()
        self._may_answer = True

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Evaluate what training begins with, unless an attempt that is resumed has recorded it."""
        step = state.global_step
        recorded = read_events(self._job.run.events_path)
        if any(event["kind"] == "eval" and event["step"] == step for event in recorded):
            self._steps_done.add(step)
        answered = any(event["kind"] == "generation" and event["moment"] == "before" for event in recorded)
        if step == 0 and not answered:
            self._answer("before")
        if step == 0 or self._is_due(step):
            self._evaluate(step)
        self._tell({})

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Evaluate where a step was logged, so that a step's event precedes its evaluation."""
        step = state.global_step
        if logs and "loss" in logs and self._is_due(step) and step < state.max_steps:
            self._evaluate(step)

    def finish(self) -> None:
        """Evaluate the trained policy and answer the samples once more; all ranks call it."""
        job = self._job
        anything = self._evaluator is not None or job.config.training.eval_generations
        if job.rank == 0 and anything:
            job.run.events.state("evaluating")
        self._evaluate(self._trainer.state.global_step)
        self._answer("after")

    def _is_due(self, step: int) -> bool:
        every = self._job.config.training.eval_steps
        return every is not None and step % every == 0

    def _evaluate(self, step: int) -> None:
        if self._evaluator is None or step in self._steps_done:
            return
        self._steps_done.add(step)
        trainer, job = self._trainer, self._job
        progress = job.run.events.progress if job.rank == 0 else no_progress
        found = self._evaluator.evaluate(trainer.model, trainer.job.batch.batch_size, progress)
        if found is None:
            self._evaluator = None
            self._warn(
                f"memory ran out while evaluating at step {step}: the run goes on without evaluation; "
                "try a smaller batch_size"
            )
            return
        if job.rank == 0:
            job.run.events.write(
                "eval",
                step=step,
                metrics=found.metrics,
                num_units=found.num_units,
                num_held_out=self._num_held_out,
                seconds=found.seconds,
            )
        self._tell({f"eval_{name}": value for name, value in found.metrics.items()})

    def _tell(self, metrics: dict[str, float]) -> None:
        """Have trackers record the metrics, and clocks of steps begin anew."""
        trainer = self._trainer
        handler, state = trainer.callback_handler, trainer.state
        if metrics:
            handler.on_log(trainer.args, state, trainer.control, metrics)
        handler.on_evaluate(trainer.args, state, trainer.control, metrics)

    def _answer(self, moment: str) -> None:
        if not self._samples or not self._may_answer:
            return
        try:
            found = answers(self._trainer.model, self._tokenizer, self._samples)
        except (RuntimeError, MemoryError) as err:
            if not is_out_of_memory(err):
                raise
            found = None
        if found is None:
            self._may_answer = False
            DeviceMemory(self._job.device, self._job.world_size).release()
            self._warn(f"memory ran out while answering prompts {moment} training: none are recorded")
            return
        self._job.run.events.write("generation", moment=moment, samples=found)
        if len(found) < len(self._samples):
            self._job.run.events.message(
                f"answered {len(found)} of {len(self._samples)} prompts {moment} training: time ran out"
            )

    def _warn(self, text: str) -> None:
        if self._job.rank == 0:
            self._job.run.events.message(text, "warning")
