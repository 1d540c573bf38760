"""`os-train runs compare`."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from flows.cli.cache.answer import answered, terminal_width
from flows.cli.runs.chart import COLOURS, RESET, chart
from flows.cli.runs.comparison import ComparedRun, differing_settings, differing_versions, results
from flows.cli.runs.ls import as_record
from opensloth_core.errors import ConfigError, StoreError
from opensloth_core.expanded import expanded
from opensloth_core.runs.history import summary
from opensloth_core.runs.named import named_run
from opensloth_core.runs.report.record import read_record

_LETTERS = "ABCDEF"
_WIDEST_CHART = 120
_NARROWEST_VALUE = 8

Rows = Sequence[Sequence[str]]


def run_compare(names: Sequence[str], html: str | None, svg: str | None, as_json: bool) -> int:
    """Compare runs and give the exit code."""
    return answered("os-train runs compare", lambda: _compare(names, html, svg, as_json))


def _compare(names: Sequence[str], html: str | None, svg: str | None, as_json: bool) -> int:
    found = {run.path: run for run in map(named_run, names)}
    if len(found) == 1:
        raise ConfigError(f"{', '.join(names)}: is one run; give another to compare it with")
    if len(found) > len(_LETTERS):
        raise ConfigError(f"{len(found)} runs: at most {len(_LETTERS)} can be told apart; name fewer")
    runs = [
        ComparedRun(letter, summary(run), read_record(run))
        for letter, run in zip(_LETTERS, found.values(), strict=False)
    ]
    settings, versions, outcome = differing_settings(runs), differing_versions(runs), results(runs)
    tables = {
        "Settings that differ": settings,
        "Versions that differ": versions,
        "Results": outcome,
    }
    if as_json:
        print(json.dumps(_record(runs, settings, versions), indent=2))
    else:
        coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        for place, run in enumerate(runs):
            letter = f"{COLOURS[place]}{run.letter}{RESET}" if coloured else run.letter
            print(f"{letter}  {run.told.name}  {run.told.state}")
        for title, rows in tables.items():
            if rows:
                print("", *_table(title, runs, rows), sep="\n")
        if not settings:
            print("", "No setting differs.", sep="\n")
        _draw(runs, coloured)
    _write_files(runs, tables, html, svg, as_json)
    return 0


def _draw(runs: Sequence[ComparedRun], coloured: bool) -> None:
    titles = dict.fromkeys(panel.title for run in runs for panel in run.record.panels)
    for title in titles:
        curves = {
            run.letter: next((p.curve for p in run.record.panels if p.title == title), ()) for run in runs
        }
        if lines := chart(curves, min(terminal_width(), _WIDEST_CHART), coloured):
            print("", title[0].upper() + title[1:], *lines, sep="\n")


def _table(title: str, runs: Sequence[ComparedRun], rows: Rows) -> list[str]:
    """A column a run; what is long is cut where it tells least, at its beginning."""
    names = max(len(title), *(len(row[0]) + 2 for row in rows))
    room = max(_NARROWEST_VALUE, (terminal_width() - names) // len(runs) - 2)
    widths = [
        min(room, max(len(cell) for cell in column))
        for column in zip(*(row[1:] for row in rows), strict=True)
    ]
    lines = [(title, *(run.letter for run in runs)), *((f"  {row[0]}", *row[1:]) for row in rows)]
    return [
        "  ".join(
            [
                line[0].ljust(names),
                *(_cut(cell, w).ljust(w) for cell, w in zip(line[1:], widths, strict=True)),
            ]
        ).rstrip()
        for line in lines
    ]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else "…" + text[len(text) - width + 1 :]


def _write_files(
    runs: Sequence[ComparedRun], tables: Mapping[str, Rows], html: str | None, svg: str | None, quiet: bool
) -> None:
    if html is None and svg is None:
        return
    # Imported here: matplotlib costs half a second.
    from opensloth_core.runs.report.overlay import comparison_page, overlay_svg

    panels = {f"{run.letter} {run.told.name}": run.record.panels for run in runs}
    if not any(panels.values()):
        raise ConfigError("none of these runs has taken a step; there is nothing to draw")
    picture = overlay_svg(panels)
    head = ("", *(f"{run.letter}: {run.told.name}" for run in runs))
    page_tables = {title: [head, *rows] for title, rows in tables.items() if rows}
    contents = {
        svg: picture,
        html: comparison_page(f"{len(runs)} runs compared", picture, page_tables).encode(),
    }
    written = []
    for name, content in contents.items():
        if name is None:
            continue
        path = expanded(name)
        try:
            path.write_bytes(content)
        except OSError as err:
            raise StoreError(f"{path}: cannot be written: {err.strerror}; give another file") from err
        written.append(f"written: {path.absolute()}")
    if not quiet:
        print("", *written, sep="\n")


def _record(runs: Sequence[ComparedRun], settings: Rows, versions: Rows) -> dict[str, Any]:
    def by_run(rows: Rows) -> dict[str, dict[str, str]]:
        return {row[0]: dict(zip((r.told.name for r in runs), row[1:], strict=True)) for row in rows}

    return {
        "runs": [as_record(run.told) for run in runs],
        "settings": by_run(settings),
        "versions": by_run(versions),
        "curves": {
            run.told.name: {p.title: [[s, v] for s, v in p.curve] for p in run.record.panels} for run in runs
        },
    }
