"""What a report is made of: the event log of a run and the settings beside it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import Event
from opensloth_core.runs.report.panels import Panel, panels
from opensloth_core.runs.report.redact import redacted
from opensloth_core.runs.statistics import Evaluation, StepValue, eval_curve, loss_curve


@dataclass(frozen=True)
class RunRecord:
    """Everything that is known of a run; what a failed run has not come to is empty."""

    path: Path
    events: Sequence[Event]
    settings: Mapping[str, Any]
    """The resolved configuration as it was written, groups as mappings."""

    devices: tuple[str, ...]
    """One torch device a rank."""

    def all(self, kind: str) -> list[Event]:
        """The events of a kind."""
        return self._by_kind.get(kind, [])

    def last(self, kind: str) -> Event | None:
        """The last event of a kind."""
        return self.all(kind)[-1] if self.all(kind) else None

    @cached_property
    def _by_kind(self) -> dict[str, list[Event]]:
        kinds: dict[str, list[Event]] = {}
        for event in self.events:
            kinds.setdefault(event["kind"], []).append(event)
        return kinds

    @cached_property
    def panels(self) -> list[Panel]:
        """The curves of the run, as its picture shows them."""
        return panels(self._of_rank_0, self.method)

    @cached_property
    def losses(self) -> list[StepValue]:
        """The loss of every step."""
        return loss_curve(self._of_rank_0)

    @cached_property
    def evaluations(self) -> list[Evaluation]:
        """The evaluations on the rows held out."""
        return eval_curve(self._of_rank_0)

    @cached_property
    def _of_rank_0(self) -> list[Event]:
        """What curves are made of; long runs have most of their events from the other ranks."""
        kinds = ("step", "eval", "resumed")
        return [event for event in self.events if event["kind"] in kinds and not event.get("rank")]

    @property
    def state(self) -> str | None:
        """The state the run is in."""
        last = self.last("state")
        return None if last is None else last.get("state")

    @property
    def method(self) -> str:
        return str(self.settings.get("method") or "sft")

    @property
    def is_training(self) -> bool:
        """Whether the run was to train, not to prepare data only."""
        return "training" in self.settings or not self.settings

    @property
    def model_title(self) -> str | None:
        """Name of the model without the way to it."""
        model = self.settings.get("model")
        return redacted(PurePath(str(model)).name) if model else None

    @property
    def sources(self) -> list[str]:
        """Where the data comes from, without secrets."""
        data = self.settings.get("data") or []
        return [redacted(str(source)) for source in ([data] if isinstance(data, str) else data)]

    @property
    def data_title(self) -> str | None:
        """The data in a word or two: `my_data`, `train +2`."""
        if not self.sources:
            return None
        first, *others = self.sources
        name = PurePath(first.split("?")[0].split("#")[0].rstrip("/") if "://" in first else first).name
        return (PurePath(name).stem or name) + (f" +{len(others)}" if others else "")

    @property
    def world_size(self) -> int | None:
        """Number of ranks of the last attempt."""
        step = self.last("step")
        size = step.get("world_size") if step else None
        return size if isinstance(size, int) else len(self.devices) or None


def read_record(run: RunDirectory) -> RunRecord:
    """What there is of a run; files that are missing or broken count as empty."""
    launch = _json(run.path / "launch.json")
    devices = launch.get("devices")
    return RunRecord(
        path=run.path,
        events=list(_events(run.events_path)),
        settings=_json(run.config_path),
        devices=tuple(map(str, devices)) if isinstance(devices, list) else (),
    )


def _events(path: Path) -> Iterator[Event]:
    """The whole events of a log.

    A kill in the middle of a line leaves half an event, to which a resumed run appends its first one.
    """
    try:
        lines = path.open("rb")
    except FileNotFoundError:
        return
    with lines:
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and isinstance(event.get("time"), int | float) and "kind" in event:
                yield event


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
