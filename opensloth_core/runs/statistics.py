"""What the event log of a run says in numbers: its curves, and how its ranks ran.

Pure functions over events in the order of the log. A field that an old or a failed run lacks gives
None or is left out. A run that was stopped and resumed has several attempts in one log: a resume takes
back what came after its checkpoint, and so does a step that is reported again.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from opensloth_core.runs.events import Event

WARM_UP_STEPS = 2
"""First steps of an attempt, which compile kernels, fill caches and grow the memory pool."""

ENOUGH_STEPS = 3
"""With fewer steps after the warm-up than this, the warm-up counts too."""


class StepValue(NamedTuple):
    """A value of one optimizer step."""

    step: int
    value: float
    """May be NaN or infinite, as it was logged."""


@dataclass(frozen=True)
class Evaluation:
    """One pass over the held-out part."""

    step: int
    """Optimizer steps taken before it."""

    metrics: dict[str, float]
    num_units: int | None
    """Packs, pairs or prompts that were evaluated."""

    seconds: float | None


@dataclass(frozen=True)
class RankStatistics:
    """How one rank ran; `num_steps` and `memory_bytes` are of all steps, the rest without the warm-up."""

    rank: int
    num_steps: int
    tokens_per_second: float | None
    """Tokens of the steps over the seconds of the steps."""

    step_seconds: float | None
    """Median."""

    memory_bytes: int | None
    """Peak."""

    data_wait_share: float | None
    """Seconds spent waiting for data over the seconds of the steps."""

    straggler_ratio: float | None
    """See `straggler_ratios`; None for a single rank."""


def number(event: Event, name: str) -> float | None:
    """A field of an event where it is a number."""
    value = event.get(name)
    return None if isinstance(value, bool) or not isinstance(value, int | float) else value


def loss_curve(events: Iterable[Event]) -> list[StepValue]:
    """The loss of every step, as rank 0 logged it."""
    return _curve(events, lambda event: number(event, "loss"))


def metric_curve(events: Iterable[Event], name: str) -> list[StepValue]:
    """One of the metrics of a method, such as `rewards/margins`, of every step that has it; rank 0's."""
    return _curve(events, lambda event: number(event.get("metrics") or {}, name))


def eval_curve(events: Iterable[Event]) -> list[Evaluation]:
    """The evaluations, one a step: the later where a step was evaluated twice."""
    found = []
    for event, _ in _standing(events, "eval").get(0, []):
        metrics = event.get("metrics") or {}
        units = event.get("num_units")
        found.append(
            Evaluation(
                step=event["step"],
                metrics={name: value for name in metrics if (value := number(metrics, name)) is not None},
                num_units=units if isinstance(units, int) else None,
                seconds=number(event, "seconds"),
            )
        )
    return found


def rank_statistics(events: Iterable[Event]) -> list[RankStatistics]:
    """How each rank ran, in rank order.

    The first `WARM_UP_STEPS` steps of an attempt are left out of everything but the number of steps
    and the peak memory, where at least `ENOUGH_STEPS` remain.
    """
    standing = _standing(events, "step")
    counted = {rank: _without_warm_up(steps) for rank, steps in standing.items()}
    ratios = straggler_ratios(counted)
    found = []
    for rank in sorted(standing):
        memory = [m for event, _ in standing[rank] if isinstance(m := event.get("memory_bytes"), int)]
        seconds = [s for event in counted[rank] if (s := number(event, "step_seconds")) is not None]
        found.append(
            RankStatistics(
                rank=rank,
                num_steps=len(standing[rank]),
                tokens_per_second=_share(counted[rank], "tokens"),
                step_seconds=median(seconds) if seconds else None,
                memory_bytes=max(memory, default=None),
                data_wait_share=_share(counted[rank], "data_wait_seconds"),
                straggler_ratio=ratios.get(rank),
            )
        )
    return found


def training_speed(events: Iterable[Event]) -> tuple[float | None, float]:
    """Tokens a second of all ranks, without the warm-up, and the seconds of all steps of the run.

    Evaluations are in neither, completions that were generated are in both.
    """
    known = list(events)
    speeds = [rank.tokens_per_second for rank in rank_statistics(known)]
    own = _standing(known, "step").get(0, [])
    seconds = sum(number(event, "step_seconds") or 0.0 for event, _ in own)
    return (sum(speed or 0.0 for speed in speeds) or None), seconds


def straggler_ratios(steps: dict[int, list[Event]]) -> dict[int, float]:
    """How much longer than the median rank each rank works in a step: 1.1 keeps the others waiting.

    Ranks leave a step together, so `step_seconds` is the same on all of them; `own_seconds` are those without
    waiting for the others. The ratio is the median over steps.

    Args:
        steps: step events by rank; steps that not every rank has are left out.
    """
    if len(steps) < 2:
        return {}
    by_step = [{event["step"]: number(event, "own_seconds") for event in own} for own in steps.values()]
    ratios: dict[int, list[float]] = {rank: [] for rank in steps}
    for step in set.intersection(*(set(own) for own in by_step)):
        work = [seconds for own in by_step if (seconds := own[step]) is not None]
        if len(work) == len(steps) and median(work) > 0:
            for rank, own_work in zip(steps, work, strict=True):
                ratios[rank].append(own_work / median(work))
    return {rank: median(own) for rank, own in ratios.items() if own}


class _Standing(NamedTuple):
    event: Event
    position: int
    """How many steps its rank had taken before it in the attempt."""


def _standing(events: Iterable[Event], kind: str) -> dict[int, list[_Standing]]:
    """By rank, the events of a kind that no later attempt took back, in the order of their steps."""
    ranks: dict[int, list[_Standing]] = {}
    positions: dict[int, int] = {}
    for event in events:
        step = event.get("step")
        if not isinstance(step, int) or event["kind"] not in (kind, "resumed"):
            continue
        if event["kind"] == "resumed":
            positions.clear()
            for own in ranks.values():
                _take_back(own, step + 1)
            continue
        rank = event.get("rank") or 0
        own = ranks.setdefault(rank, [])
        if _take_back(own, step):
            positions[rank] = 0
        own.append(_Standing(event, positions.get(rank, 0)))
        positions[rank] = positions.get(rank, 0) + 1
    return ranks


def _take_back(own: list[_Standing], step: int) -> bool:
    """Remove the events from a step on; whether there were any."""
    found = bool(own) and own[-1].event["step"] >= step
    while own and own[-1].event["step"] >= step:
        own.pop()
    return found


def _without_warm_up(steps: Sequence[_Standing]) -> list[Event]:
    warm = [event for event, position in steps if position >= WARM_UP_STEPS]
    return warm if len(warm) >= ENOUGH_STEPS else [event for event, _ in steps]


def _share(steps: Iterable[Event], name: str) -> float | None:
    """The sum of a field over the sum of the seconds, of the steps that have both."""
    total = seconds = 0.0
    for event in steps:
        value, own_seconds = number(event, name), number(event, "step_seconds")
        if value is not None and own_seconds is not None:
            total, seconds = total + value, seconds + own_seconds
    return total / seconds if seconds > 0 else None


def _curve(events: Iterable[Event], value_of: Callable[[Event], float | None]) -> list[StepValue]:
    values = ((event["step"], value_of(event)) for event, _ in _standing(events, "step").get(0, []))
    return [StepValue(step, value) for step, value in values if value is not None]
