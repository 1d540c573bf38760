"""`os-train runs show`."""

import json
import textwrap
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from flows.cli.cache.answer import answered, table, terminal_width
from flows.cli.cache.words import ago, date
from flows.cli.ledger_table import ledger_lines
from flows.cli.lines import data_origin, metrics_line
from flows.cli.runs.ls import as_record
from flows.cli.runs.words import brief_loss
from opensloth_core.data.ledger import Ledger
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import Event
from opensloth_core.runs.history import RunSummary, summary
from opensloth_core.runs.named import named_run
from opensloth_core.runs.removing import size_bytes, starts_of
from opensloth_core.runs.report.numbers import decimals, duration, size
from opensloth_core.runs.report.outcome import devices_title
from opensloth_core.runs.report.record import RunRecord, read_record
from opensloth_core.runs.report.settings import changed_settings, settings_values, shown
from opensloth_core.runs.report.timeline import attempts, timeline
from opensloth_core.runs.resume import resume_line
from opensloth_core.training.checkpoint.manifest import open_checkpoint

_NAME_WIDTH = 9
_LOSSES_SHOWN = 10
_ENDED_BADLY = ("failed", "cancelled", "crashed")


def run_show(which: str, as_json: bool) -> int:
    """Show a run and give the exit code."""
    return answered("os-train runs show", lambda: _show(which, as_json))


def _show(which: str, as_json: bool) -> int:
    run = named_run(which)
    record, told = read_record(run), summary(run)
    if as_json:
        print(json.dumps(_record(run, record, told), indent=2))
        return 0
    print(run.path.name, *_facts(run, record, told), sep="\n")
    for title, lines in _sections(run, record).items():
        if lines:
            print("", title, *(f"  {line}" for line in lines), sep="\n")
    if told.state in _ENDED_BADLY and told.trains:
        print("", resume_line(run), sep="\n")
    return 0


def _sections(run: RunDirectory, record: RunRecord) -> dict[str, list[str]]:
    return {
        "Settings that differ from the defaults": _settings(record),
        "Time": _times(record),
        "Loss": _losses(record),
        "Held out": _held_out(record),
        "Checkpoints": _checkpoints(run),
        "Paths": _paths(run),
    }


def _facts(run: RunDirectory, record: RunRecord, told: RunSummary) -> Iterator[str]:
    state = f"{told.state}, {duration(told.seconds)}, begun {ago(told.created)} ({date(told.created)})"
    yield _fact("State", state)
    if told.message and told.state in _ENDED_BADLY:
        yield from _wrapped("Why", told.message)
    what = f"{told.method} of {told.model} on {told.data}" if told.trains else f"data for {told.method}"
    yield _fact("What", what + (f", {devices}" if (devices := devices_title(record)) else ""))
    if told.step is not None:
        steps = f"{told.step:,} of {told.total_steps:,}" if told.total_steps else f"{told.step:,}"
        yield _fact("Steps", steps)
    if told.final_loss is not None:
        first = f" (first step {brief_loss(record.losses[0].value)})" if record.losses else ""
        yield _fact("Loss", brief_loss(told.final_loss) + first)
    if told.tokens_per_second is not None:
        yield _fact("Speed", f"{told.tokens_per_second:,.0f} tokens/s")
    prepared = record.last("prepared")
    if prepared is not None:
        yield _fact("Data", data_origin(prepared))
        if prepared.get("ledger"):
            yield from ledger_lines(Ledger.of(prepared["ledger"]))
    warnings = [e for e in record.all("message") if e.get("level") in ("warning", "error")]
    for text in dict.fromkeys(str(event["text"]) for event in warnings):
        yield from _wrapped("Warning", text)


def _fact(name: str, text: str) -> str:
    return f"{name:{_NAME_WIDTH}}{text}"


def _wrapped(name: str, text: str) -> list[str]:
    rest = " " * _NAME_WIDTH
    first = text.splitlines()[0]
    lines = textwrap.wrap(
        first, terminal_width(), initial_indent=f"{name:{_NAME_WIDTH}}", subsequent_indent=rest,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return [*lines, *(f"{rest}{line}" for line in text.splitlines()[1:])]


def _settings(record: RunRecord) -> list[str]:
    rows = [
        (name, value, f"({default})" if default else "") for name, value, default in changed_settings(record)
    ]
    # The value may be a long path, which is worth more than straight columns.
    width = max((len(name) for name, *_ in rows), default=0)
    return [f"{name:{width}}  {value}  {default}".rstrip() for name, value, default in rows]


def _times(record: RunRecord) -> list[str]:
    rows = [row for log in attempts(record.events) for row in _span_rows(log)]
    return table(rows) if rows else []


def _span_rows(log: Sequence[Event]) -> list[tuple[str, ...]]:
    """A line a state of an attempt: when the run entered it, and how long it stayed."""
    states = [event for event in log if event["kind"] == "state"]
    ends = [float(event["time"]) for event in states[1:]] + ([float(log[-1]["time"])] if states else [])
    return [
        (
            time.strftime("%H:%M:%S", time.localtime(event["time"])),
            str(event["state"]),
            "" if end - event["time"] < 0.0005 else duration(end - event["time"]),
        )
        for event, end in zip(states, ends, strict=True)
    ]


def _losses(record: RunRecord) -> list[str]:
    losses = record.losses
    if not losses:
        return []
    places = sorted({round(i * (len(losses) - 1) / (_LOSSES_SHOWN - 1)) for i in range(_LOSSES_SHOWN)})
    told = [losses[place] for place in places]
    return table([("step", "loss"), *((f"{one.step:,}", decimals(one.value)) for one in told)], (0, 1))


def _held_out(record: RunRecord) -> list[str]:
    return [
        f"after step {one.step:,}: " + metrics_line({"metrics": one.metrics}) for one in record.evaluations
    ]


def _checkpoints(run: RunDirectory) -> list[str]:
    rows = []
    for path in _checkpoint_folders(run):
        checkpoint, problem = open_checkpoint(path, in_full=False)
        rows.append((path.name, size(size_bytes(path)), "whole" if checkpoint else f"damaged: {problem}"))
    return table(rows, (1,)) if rows else []


def _checkpoint_folders(run: RunDirectory) -> list[Path]:
    return sorted(run.checkpoints_dir.glob("step-*")) if run.checkpoints_dir.is_dir() else []


def _paths(run: RunDirectory) -> list[str]:
    named = {
        "folder": run.path,
        "result": run.adapter_dir,
        "report": run.report_path,
        "settings": run.config_path,
        "events": run.events_path,
        "logs": run.path / "logs",
    }
    total = size(size_bytes(run.path))
    return [
        f"{name:{_NAME_WIDTH}}{path}" + (f"  ({total})" if name == "folder" else "")
        for name, path in named.items()
        if path.exists()
    ]


def _record(run: RunDirectory, record: RunRecord, told: RunSummary) -> dict[str, Any]:
    return {
        **as_record(told),
        "settings": {name: shown(value) for name, value in settings_values(record).items()},
        "differing": [name for name, _, _ in changed_settings(record)],
        "starts_from": sorted(starts_of(run)),
        "states": [
            {"time": event["time"], "state": event["state"], "message": event.get("message")}
            for event in record.all("state")
        ],
        "phases": [
            {"phase": one.phase, "start": one.start_seconds, "end": one.end_seconds, "rank": one.rank,
             "attempt": one.attempt}
            for one in timeline(record.events)
        ],
        "ledger": (record.last("prepared") or {}).get("ledger"),
        "losses": [{"step": one.step, "loss": one.value} for one in record.losses],
        "evaluations": [{"step": one.step, "metrics": one.metrics} for one in record.evaluations],
        "checkpoints": [str(path) for path in _checkpoint_folders(run)],
        "size_bytes": size_bytes(run.path),
    }  # fmt: skip
