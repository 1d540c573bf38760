"""Whether a model is better than the one before it.

Both were measured on the same rows, in up to two sets:

    new rows       what is held out of the data as it is now
    earlier rows   what was held out when the model that is in use was made

    gain = (new - old) / |old|, with the sign that makes better a gain; any gain counts where old is 0

Promoted is what gains at least `min_improvement` on the new rows, and more than nothing, without losing more
than `min_improvement` on the earlier ones. The second rule is for data that went bad: wrong answers are held
out as well, and whoever was trained on such is better at them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from opensloth_core.config.data import Method

Metrics = Mapping[str, float]

NEW, EARLIER = "new", "earlier"
"""The sets of rows; `EARLIER` may be missing."""

METRIC: Mapping[Method, str] = {"sft": "loss", "dpo": "loss", "grpo": "reward"}
"""What decides."""

_MORE_IS_BETTER = frozenset({"reward"})


@dataclass(frozen=True)
class Measured:
    """What was measured of one model."""

    metrics: Mapping[str, Metrics]
    """By the set of rows."""

    @property
    def flat(self) -> dict[str, float]:
        """All metrics by name, those of the earlier rows as `earlier/loss`."""
        return {
            name if rows == NEW else f"{rows}/{name}": value
            for rows, metrics in self.metrics.items()
            for name, value in metrics.items()
        }


@dataclass(frozen=True)
class Verdict:
    """How the comparison ended."""

    is_better: bool
    why: str
    """In one sentence."""


def judge(
    method: Method, old: Measured, new: Measured, min_improvement: float, old_name: str = "the base model"
) -> Verdict:
    """Compare a new model with the one it would replace.

    Args:
        method: of both.
        min_improvement: a share of the old model's metric.
        old_name: what the old model is called.
    """
    metric = METRIC[method]
    told = [
        _Change(rows, metric, *(model.metrics[rows].get(metric, math.nan) for model in (old, new)))
        for rows in (NEW, EARLIER)
        if rows in old.metrics and rows in new.metrics
        # Of held-out prompts that no reward applies to there is none; new ones decide, and so are refused.
        if rows == NEW or metric in {**old.metrics[rows], **new.metrics[rows]}
    ]
    on_new, *on_earlier = told
    if not (on_new.gain > 0 and on_new.gain >= min_improvement):
        return Verdict(False, f"{on_new}; {_asked(min_improvement)} than {old_name} is asked for")
    for change in on_earlier:
        if not change.gain >= -min_improvement:
            return Verdict(
                False,
                f"{on_new}, but {change}, on which {old_name} was judged: look at the rows that are new",
            )
    return Verdict(True, f"{'; '.join(map(str, told))}, compared with {old_name}")


@dataclass(frozen=True)
class _Change:
    rows: str
    metric: str
    old: float
    new: float

    @property
    def gain(self) -> float:
        """Not a number where the new model's metric is none."""
        if not math.isfinite(self.new):
            return math.nan
        if not math.isfinite(self.old):
            return math.inf
        better = self.new - self.old if self.metric in _MORE_IS_BETTER else self.old - self.new
        if self.old == 0:
            return math.copysign(math.inf, better) if better else 0.0
        return better / abs(self.old)

    def __str__(self) -> str:
        return (
            f"{self.metric} on the {self.rows} rows {self.old:.4g} -> {self.new:.4g} ({_worded(self.gain)})"
        )


def _worded(gain: float) -> str:
    if math.isnan(gain):
        return "no number"
    if gain == 0:
        return "the same"
    share = f"{abs(gain):.1%} " if math.isfinite(gain) else ""
    return f"{share}{'better' if gain > 0 else 'worse'}"


def _asked(min_improvement: float) -> str:
    return f"{min_improvement:.1%} better" if min_improvement else "better"
