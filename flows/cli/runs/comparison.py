"""In what runs differ, as rows: a name, and a value for each run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from opensloth_core.runs.history import RunSummary
from opensloth_core.runs.report.numbers import duration, measure
from opensloth_core.runs.report.outcome import devices_title
from opensloth_core.runs.report.record import RunRecord
from opensloth_core.runs.report.settings import settings_values, shown

_NOTHING = "-"

Row = tuple[str, ...]


@dataclass(frozen=True)
class ComparedRun:
    """A run, and the letter it goes by."""

    letter: str
    told: RunSummary
    record: RunRecord


def differing_settings(runs: Sequence[ComparedRun]) -> list[Row]:
    """Settings that are not the same in all runs."""
    values = [settings_values(run.record) for run in runs]
    names = dict.fromkeys(name for own in values for name in own)
    return [
        (name, *(shown(own[name]) if name in own else _NOTHING for own in values))
        for name in names
        if any(own.get(name) != values[0].get(name) for own in values)
    ]


def differing_versions(runs: Sequence[ComparedRun]) -> list[Row]:
    """Packages, Python and devices that are not the same, of the runs that came to say."""
    found = [
        {n: v for n, v in (run.record.last("versions") or {}).items() if n not in ("time", "kind")}
        for run in runs
    ]
    known = [own for own in found if own]
    names = dict.fromkeys(name for own in known for name in own)
    return [
        (name, *(shown(own.get(name)) for own in found))
        for name in names
        if any(own.get(name) != known[0].get(name) for own in known)
    ]


def results(runs: Sequence[ComparedRun]) -> list[Row]:
    """What came of the runs; without what none of them has."""
    rows: list[Row] = [
        _row("state", runs, lambda run: run.told.state),
        _row("steps", runs, lambda run: _number(run.told.step)),
        *_curve_rows(runs),
        *_held_out_rows(runs),
        _row("tokens/s", runs, lambda run: _number(run.told.tokens_per_second)),
        _row("took", runs, lambda run: duration(run.told.seconds)),
        _row("on", runs, lambda run: devices_title(run.record)),
        _row("data", runs, _data),
    ]
    return [row for row in rows if any(cell != _NOTHING for cell in row[1:])]


def _curve_rows(runs: Sequence[ComparedRun]) -> list[Row]:
    """Of each curve what the first and the last step had."""
    rows = []
    for title in dict.fromkeys(panel.title for run in runs for panel in run.record.panels):
        curves = [next((p.curve for p in run.record.panels if p.title == title), ()) for run in runs]
        for word, place in (("first", 0), ("final", -1)):
            cells = (measure(title, curve[place].value) if curve else _NOTHING for curve in curves)
            rows.append((f"{word} {title}", *cells))
    return rows


def _held_out_rows(runs: Sequence[ComparedRun]) -> list[Row]:
    last = [run.record.evaluations[-1].metrics if run.record.evaluations else {} for run in runs]
    names = dict.fromkeys(name for own in last for name in own)
    return [
        (f"held out {name}", *(measure(name, own[name]) if name in own else _NOTHING for own in last))
        for name in names
    ]


def _row(name: str, runs: Sequence[ComparedRun], cell: Callable[[ComparedRun], str | None]) -> Row:
    return (name, *(cell(run) or _NOTHING for run in runs))


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:,.0f}"


def _data(run: ComparedRun) -> str | None:
    if run.told.prepared_key is None:
        return None
    return f"{run.told.prepared_key[:8]}{', cached' if run.told.cached else ''}"
