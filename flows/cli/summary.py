"""The last thing a run prints: where the adapter is and how it went."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.cli.lines import data_origin, duration
from opensloth_core.runs.events import Event


def summary(run_dir: Path, events: Sequence[Event]) -> str:
    """The run's result, one fact a line; facts that were never recorded are left out."""
    result = _last(events, "result") or {}
    prepared = _last(events, "prepared")
    facts = {
        "Adapter": result.get("adapter_dir"),
        "Loss": _loss(events, result),
        "Speed": _rounded(result.get("tokens_per_second"), "tokens/s"),
        "Data": data_origin(prepared) if prepared else None,
        "Rows": _rows(prepared["ledger"]) if prepared and prepared.get("ledger") else None,
        "Run": run_dir,
        "Time": duration(events[-1]["time"] - events[0]["time"]) if events else None,
    }
    return "\n".join(f"{name:8} {value}" for name, value in facts.items() if value is not None)


def _rows(ledger: Mapping[str, Any]) -> str:
    """`499 of 500 (left out: 1 longer than max_seq_length)`."""
    left_out = {**ledger["rows_rejected"], "not sampled": ledger["rows_not_sampled"]}
    named = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items() if count)
    rows = f"{ledger['rows_kept']:,} of {ledger['rows_read']:,}"
    return f"{rows} (left out: {named})" if named else rows


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
