"""The runs of a home at a glance, read without keeping their whole logs."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from opensloth_core.runs.abandoned import FINAL, why_crashed
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import Event
from opensloth_core.runs.listing import newest_first
from opensloth_core.runs.lock import is_running, is_starting
from opensloth_core.runs.report.record import RunRecord
from opensloth_core.runs.report.timeline import running_seconds
from opensloth_core.runs.statistics import number

_FREQUENT = re.compile(rb'"kind": "(step|progress|pulse)"')
_RANK = re.compile(rb'"rank": (\d+)')


@dataclass(frozen=True)
class RunSummary:
    """What a list of runs says of one; None where it is not known, or not yet."""

    name: str
    path: Path
    method: str
    trains: bool
    """Whether a model is trained, rather than data prepared alone."""

    model: str | None
    data: str | None
    gpus: int | None
    """GPUs it ran on; 0 where it ran on CPUs."""

    ranks: int | None
    state: str
    """See `state_of`."""

    message: str | None
    """What its last state says."""

    created: float
    """Unix seconds."""

    updated: float
    """When its last event was written."""

    seconds: float
    """How long it ran, the time between attempts left out; until now where it runs."""

    step: int | None
    total_steps: int | None
    final_loss: float | None
    """Mean loss per trained token of its last step."""

    tokens_per_second: float | None
    """Of all ranks: over the whole training, or of the last step while it goes on."""

    cached: bool | None
    """Whether its data was there already."""

    prepared_key: str | None


def summaries(
    limit: int | None = None, state: str | None = None, method: str | None = None
) -> list[RunSummary]:
    """The runs of this home, newest first.

    Args:
        limit: how many of those that match; all when not given.
        state: only those in this state.
        method: only those that train with this method; "data" for those that prepare data alone.
    """
    found = (summary(run) for run in newest_first())
    matching = (
        one
        for one in found
        if state in (None, one.state) and method in (None, one.method if one.trains else "data")
    )
    return list(islice(matching, limit))


def summary(run: RunDirectory) -> RunSummary:
    """What a list says of a run."""
    record = read_outline(run)
    events = record.events
    is_live = _is_live(run)
    now = time.time()
    state = state_of(run, record, is_live)
    created = float(events[0]["time"]) if events else run.path.stat().st_mtime
    updated = float(events[-1]["time"]) if events else created
    result, prepared = record.last("result") or {}, record.last("prepared") or {}
    steps = [event for event in record.all("step") if not event.get("rank")]
    step = steps[-1] if steps else {}
    loss = number(result, "final_loss")
    speed = number(result, "tokens_per_second")
    return RunSummary(
        name=run.path.name,
        path=run.path,
        method=record.method,
        trains=record.is_training,
        model=record.model_title,
        data=record.data_title,
        gpus=sum(device != "cpu" for device in record.devices) if record.devices else None,
        ranks=record.world_size,
        state=state,
        message=_message(run, record, state),
        created=created,
        updated=updated,
        seconds=running_seconds(events) + (max(0.0, now - updated) if is_live else 0.0) if events else 0.0,
        step=step.get("step"),
        total_steps=step.get("total_steps"),
        final_loss=number(step, "loss") if loss is None else loss,
        tokens_per_second=_speed(record) if speed is None else speed,
        cached=prepared.get("cached"),
        prepared_key=prepared.get("key"),
    )


def _message(run: RunDirectory, record: RunRecord, state: str) -> str | None:
    if state == record.state or state != "crashed":
        return (record.last("state") or {}).get("message")
    return why_crashed(run)


def state_of(run: RunDirectory, record: RunRecord, is_live: bool | None = None) -> str:
    """The state a run is in: as recorded, or `crashed` where it says it goes on and nobody drives it."""
    state = record.state or "created"
    if state in FINAL or (_is_live(run) if is_live is None else is_live):
        return state
    return "crashed"


def _is_live(run: RunDirectory) -> bool:
    return is_starting(run) or is_running(run)


def read_outline(run: RunDirectory) -> RunRecord:
    """The record of a run with the last step of each series only, of every rank; see `_outline`."""
    devices = _json(run.launch_path).get("devices")
    return RunRecord(
        path=run.path,
        events=list(_outline(run.events_path)),
        settings=_json(run.config_path),
        devices=tuple(map(str, devices)) if isinstance(devices, list) else (),
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _outline(path: Path) -> Iterator[Event]:
    """The events of a log, of those that are frequent the last of each kind and rank before any other.

    A long log is mostly steps of many ranks, which are not parsed then.
    """
    held: dict[tuple[bytes, bytes], bytes] = {}
    try:
        lines = path.open("rb")
    except OSError:
        return
    with lines:
        for line in lines:
            if frequent := _FREQUENT.search(line, 0, 80):
                rank = _RANK.search(line, 0, 120)
                key = (frequent[1], rank[1] if rank else b"0")
                held.pop(key, None)
                held[key] = line
                continue
            for own in (*held.values(), line):
                yield from _parsed(own)
            held.clear()
        for own in held.values():
            yield from _parsed(own)


def _parsed(line: bytes) -> Iterator[Event]:
    try:
        event = json.loads(line)
    except ValueError:  # torn by a kill, or being written
        return
    if isinstance(event, dict) and isinstance(event.get("time"), int | float) and "kind" in event:
        yield event


def _speed(record: RunRecord) -> float | None:
    """Tokens a second of the last step, over its ranks."""
    last: dict[int, float] = {}
    steps = record.all("step")
    for event in steps:
        if (speed := number(event, "tokens_per_second")) is not None:
            last[event.get("rank") or 0] = speed
    return sum(last.values()) if last else None
