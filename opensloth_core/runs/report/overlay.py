"""The curves of several runs over one another, in the style of a run's own picture."""

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from opensloth_core.runs.report.panels import Panel
from opensloth_core.runs.report.picture import FEW_STEPS, MUTED, NUM_COLUMNS, as_svg, stacked
from opensloth_core.runs.report.smoothing import smoothed, visible_places

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#1f5a99", "#d1601f", "#2f7d4f", "#8a4fa3", "#8c6d1f", "#b3261e")
"""Of as many runs as can be told apart."""

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2430}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .8rem .2rem 0;text-align:left;"
    "vertical-align:top;overflow-wrap:anywhere}th{border-bottom:1px solid #c4c8ce}"
    "svg{max-width:100%;height:auto}"
)


def overlay_svg(panels: Mapping[str, Sequence[Panel]]) -> bytes:
    """The panels of runs, those of one title in one plot, as SVG; the same bytes for the same panels.

    Args:
        panels: by what the run is called in the legend; at most as many as there are `COLOURS`.
    """
    return as_svg(lambda: _drawn(panels))


def comparison_page(title: str, svg: bytes, tables: Mapping[str, Sequence[Sequence[str]]]) -> str:
    """A web page that needs nothing else: tables by their titles, head first, and the picture."""
    picture = svg[svg.index(b"<svg") :].decode() if svg else ""
    parts = [f"<!doctype html><meta charset=utf-8><title>{html.escape(title)}</title><style>{_STYLE}</style>"]
    parts += [f"<h1>{html.escape(title)}</h1>", picture]
    for name, rows in tables.items():
        head, *body = [[html.escape(cell) for cell in row] for row in rows]
        lines = ["<tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr>"]
        lines += ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in body]
        parts += [f"<h2>{html.escape(name)}</h2>", f"<table>{''.join(lines)}</table>"]
    return "\n".join(parts) + "\n"


def _drawn(panels: Mapping[str, Sequence[Panel]]) -> "Figure":
    titles = list(dict.fromkeys(panel.title for own in panels.values() for panel in own))
    figure, all_axes = stacked(titles)
    for (label, own), colour in zip(panels.items(), COLOURS, strict=False):
        for panel in own:
            _curve(all_axes[titles.index(panel.title)], panel, label, colour)
    lines = {
        label: line
        for axes in all_axes
        for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    all_axes[0].legend(
        lines.values(),
        lines.keys(),
        loc="upper right",
        frameon=False,
        fontsize=9,
        labelcolor=MUTED,
    )
    return figure


def _curve(axes: Any, panel: Panel, label: str, colour: str) -> None:
    if panel.curve:
        steps = np.array([step for step, _ in panel.curve])
        values = np.array([value for _, value in panel.curve], dtype=float)
        finite = np.isfinite(values)
        places = visible_places(values, NUM_COLUMNS)
        raw = (
            {"marker": "o", "markersize": 3.0, "linewidth": 0}
            if len(values) <= FEW_STEPS
            else {"linewidth": 0.6}
        )
        axes.plot(steps[places], np.where(finite, values, np.nan)[places], color=colour, alpha=0.3, **raw)
        line = np.where(finite, smoothed(values), np.nan)
        axes.plot(steps[places], line[places], color=colour, linewidth=1.7, label=label, zorder=3)
    if panel.held_out:
        steps_H, values_H = zip(*panel.held_out, strict=True)
        known = np.where(np.isfinite(values_H), values_H, np.nan)
        own = f"{label}, held out"
        axes.plot(steps_H, known, "s--", color=colour, markersize=3.5, linewidth=0.9, label=own, zorder=4)
