"""What the ranks measured on the rows held out, before training and after it."""

from dataclasses import dataclass

from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.report.generations import generation_lines
from opensloth_core.runs.report.markup import plain, table
from opensloth_core.runs.report.numbers import counted, duration, measure
from opensloth_core.runs.report.record import RunRecord, read_record
from opensloth_core.runs.report.sections import evaluation_lines

NOTHING_HELD_OUT = (
    "Nothing was held out, so nothing was measured: no number says how the model does on rows it was not "
    "trained on. Set eval_size to hold rows out."
)
NOT_MEASURED = "Rows were held out, but no evaluation of them was recorded; the run's warnings say why."


@dataclass(frozen=True)
class Evaluated:
    """The evaluations of a run."""

    metrics: dict[str, float]
    """Of the last one; empty where nothing was measured."""

    summary: str
    """One sentence."""

    markdown: str


def evaluated(run: RunDirectory) -> Evaluated:
    """What is known of how good a run's model is."""
    record = read_record(run)
    last = record.evaluations[-1].metrics if record.evaluations else {}
    summary = _summary(record)
    lines = ["# Evaluation", "", summary]
    if last:
        lines += ["", *_change_lines(record)]
    if len(record.evaluations) > 2:
        lines += ["", "## While it trained", "", *evaluation_lines(record)]
    if answers := generation_lines(record):
        lines += ["", "## Answers before and after", "", *answers]
    return Evaluated(dict(last), summary, "\n".join(lines) + "\n")


def _summary(record: RunRecord) -> str:
    if not record.evaluations:
        ledger = (record.last("prepared") or {}).get("ledger") or {}
        return NOT_MEASURED if ledger.get("rows_held_out") else NOTHING_HELD_OUT
    first, last = record.evaluations[0], record.evaluations[-1]
    changes = [
        f"{name.replace('_', ' ')} {measure(name, first.metrics[name])} → {measure(name, value)}"
        if first.step < last.step and name in first.metrics
        else f"{name.replace('_', ' ')} {measure(name, value)}"
        for name, value in last.metrics.items()
    ]
    on = "" if last.num_units is None else f" of {counted(last.num_units, 'unit')}"
    seconds = sum(evaluation.seconds or 0.0 for evaluation in record.evaluations)
    took = f" (by the ranks, {counted(len(record.evaluations), 'time')} in {duration(seconds)} together)"
    return f"Held out{on}: {', '.join(changes)}{took}."


def _change_lines(record: RunRecord) -> list[str]:
    """A line a metric: before the first step, where it was measured then, and after the last one."""
    first, last = record.evaluations[0], record.evaluations[-1]
    has_before = first.step < last.step
    head = ("metric", *([f"after step {first.step:,}" if first.step else "before training"] * has_before))
    rows = [
        (
            plain(name.replace("_", " ")),
            *([measure(name, first.metrics[name]) if name in first.metrics else ""] * has_before),
            f"**{measure(name, value)}**",
        )
        for name, value in last.metrics.items()
    ]
    return table((*head, f"after step {last.step:,}"), rows, right=range(1, 2 + has_before))
