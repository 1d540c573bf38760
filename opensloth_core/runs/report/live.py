"""What can be told of a run while it trains: its curves so far, and how its ranks run.

Memory stays small however long a run is: of its steps only what the curves show is kept, and the last ones
of each rank.
"""

from collections import deque
from collections.abc import Iterable

from opensloth_core.runs.events import Event
from opensloth_core.runs.report.numbers import duration, percent, size
from opensloth_core.runs.report.panels import OF_METHOD, Panel, panels
from opensloth_core.runs.statistics import number, rank_statistics

WINDOW_STEPS = 100
"""Of so many last steps is what is told of a rank."""


class LiveRun:
    """The events of a running training, in few bytes.

    Args:
        method: sft, dpo or grpo.
        devices: one torch device a rank.
    """

    def __init__(self, method: str, devices: tuple[str, ...]) -> None:
        self._method = method
        self._devices = devices
        self._metrics = {metric for metric, _, _ in OF_METHOD.get(method, ()) if metric}
        self._of_curves: list[Event] = []
        self._window: deque[Event] = deque(maxlen=WINDOW_STEPS * max(1, len(devices)))
        self._memory: dict[int, int] = {}
        self.last_step: Event | None = None
        """Rank 0's."""

    def add(self, events: Iterable[Event]) -> bool:
        """Take in what was logged; gives whether rank 0 went on."""
        before = self.last_step
        for event in events:
            if event["kind"] == "resumed":
                self._window.clear()
            if event["kind"] in ("eval", "resumed"):
                self._of_curves.append(event)
            elif event["kind"] == "step":
                self._add_step(event)
        return self.last_step is not before

    def panels(self) -> list[Panel]:
        """The curves so far."""
        return panels(self._of_curves, self._method)

    def rank_rows(self) -> list[dict[str, str]]:
        """A row a rank, by the titles of the columns."""
        ranks = rank_statistics(self._window)
        slowest = max((rank.straggler_ratio or 0.0 for rank in ranks), default=0.0)
        tells_stragglers = slowest > 0
        steps = {event["rank"]: event["step"] for event in self._window}
        rows = []
        for rank in ranks:
            speed, seconds, wait = rank.tokens_per_second, rank.step_seconds, rank.data_wait_share
            row = {
                "rank": str(rank.rank),
                "device": self._devices[rank.rank] if rank.rank < len(self._devices) else "",
                "step": f"{steps[rank.rank]:,}",
                "tokens/s": "" if speed is None else f"{speed:,.0f}",
                "time a step": "" if seconds is None else duration(seconds),
                "peak memory": size(self._memory[rank.rank]) if rank.rank in self._memory else "",
                "data wait": "" if wait is None else percent(wait),
            }
            if tells_stragglers:
                ratio = rank.straggler_ratio
                row["wait for ranks"] = "" if ratio is None else percent(1 - ratio / slowest)
            rows.append(row)
        return rows

    def _add_step(self, event: Event) -> None:
        rank = event.get("rank") or 0
        self._window.append(event)
        if (memory := number(event, "memory_bytes")) is not None:
            self._memory[rank] = max(self._memory.get(rank, 0), int(memory))
        if rank == 0:
            self.last_step = event
            metrics = event.get("metrics") or {}
            shown = {name: metrics[name] for name in self._metrics if name in metrics}
            self._of_curves.append(
                {
                    "kind": "step",
                    "rank": 0,
                    "step": event["step"],
                    "loss": event.get("loss"),
                    "metrics": shown,
                }
            )
