"""The last thing a run prints: where its result is and how it went."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.cli.ledger_table import NAME_WIDTH, ledger_lines
from flows.cli.lines import data_origin, metrics_line
from opensloth_core.data.ledger import Ledger
from opensloth_core.data.quarantine import REJECTED_FILE
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import Event
from opensloth_core.runs.report.numbers import duration
from opensloth_core.runs.report.timeline import running_seconds
from opensloth_core.store.prepared import prepared_dir


def summary(run_dir: Path, events: Sequence[Event]) -> str:
    """A training run's result, one fact a line; facts that were never recorded are left out."""
    result, held_out = _last(events, "result") or {}, _last(events, "eval")
    facts = {
        "Adapter": result.get("adapter_dir"),
        "Loss": _loss(events, result),
        "Held out": metrics_line(held_out) if held_out else None,
        "Speed": _rounded(result.get("tokens_per_second"), "tokens/s"),
    }
    last = {
        "Report": RunDirectory(run_dir).report_path,
        "Time": _time(events),
        "Try it": f"os-train chat {run_dir.name}" if result else None,
    }
    return "\n".join([*_lines(facts), *_data(events), *_lines(last)])


def data_summary(folder: Path, events: Sequence[Event]) -> str:
    """A preparation's result, one fact a line.

    Args:
        folder: of the prepared data.
    """
    return "\n".join([*_data(events), *_lines({"Folder": folder, "Time": _time(events)})])


def _data(events: Sequence[Event]) -> list[str]:
    """Where the data came from, and where its rows and tokens went."""
    prepared = _last(events, "prepared")
    if prepared is None:
        return []
    origin = _lines({"Data": data_origin(prepared)})
    if not prepared.get("ledger"):
        return origin
    ledger = Ledger.of(prepared["ledger"])
    rejected = prepared_dir(prepared["key"]) / REJECTED_FILE if ledger.num_rejected else None
    return [*origin, *ledger_lines(ledger), *_lines({"Rejected": rejected})]


def _lines(facts: Mapping[str, Any]) -> list[str]:
    return [f"{name:{NAME_WIDTH}}{value}" for name, value in facts.items() if value is not None]


def _time(events: Sequence[Event]) -> str | None:
    return duration(running_seconds(events)) if events else None


def _last(events: Sequence[Event], kind: str) -> Event | None:
    return next((event for event in reversed(events) if event["kind"] == kind), None)


def _loss(events: Sequence[Event], result: Event) -> str | None:
    losses = [e["loss"] for e in events if e["kind"] == "step" and e.get("loss") is not None]
    final = result.get("final_loss")
    if final is None:
        return None
    return f"{final:.3f}" + (f" (first step {losses[0]:.3f})" if losses else "")


def _rounded(number: float | None, unit: str) -> str | None:
    return None if number is None else f"{number:,.0f} {unit}"
