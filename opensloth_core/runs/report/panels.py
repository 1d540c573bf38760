"""What the picture of a run shows: which curves, with which points of evaluations."""

from collections.abc import Sequence
from dataclasses import dataclass

from opensloth_core.runs.events import Event
from opensloth_core.runs.statistics import StepValue, eval_curve, loss_curve, metric_curve

OF_METHOD = {
    "sft": ((None, "loss", "loss"),),
    "dpo": (
        (None, "loss", "loss"),
        ("rewards/margins", "margin", "reward margin"),
        ("rewards/accuracies", "accuracy", "reward accuracy"),
    ),
    "grpo": (("reward", "reward", "reward"), (None, "loss", "loss")),
}
"""By method: metric of a step (None for its loss), metric of an evaluation, title."""


@dataclass(frozen=True)
class Panel:
    """One curve of a run over its steps."""

    title: str
    curve: Sequence[StepValue]
    held_out: Sequence[StepValue]
    """The same of evaluations on the rows held out."""

    resumed: Sequence[int]
    """Steps at which the run was taken up again."""


def panels(events: Sequence[Event], method: str) -> list[Panel]:
    """The panels for which there is anything to show, from top to bottom."""
    evaluations = eval_curve(events)
    resumed = sorted({e["step"] for e in events if e["kind"] == "resumed" and isinstance(e.get("step"), int)})
    shown = []
    for metric, eval_metric, title in OF_METHOD.get(method, OF_METHOD["sft"]):
        curve = loss_curve(events) if metric is None else metric_curve(events, metric)
        held_out = [
            StepValue(e.step, e.metrics[eval_metric]) for e in evaluations if eval_metric in e.metrics
        ]
        if curve or held_out:
            shown.append(Panel(title, curve, held_out, resumed))
    return shown
