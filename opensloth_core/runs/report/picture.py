"""The curves of a run as a picture; matplotlib is imported when one is drawn."""

import io
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from opensloth_core.runs.report.panels import Panel
from opensloth_core.runs.report.smoothing import smoothed, visible_places

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RAW, LINE, HELD_OUT, MUTED = "#b4cae2", "#1f5a99", "#d1601f", "#6b7280"
WIDTH_INCHES, LEFT_INCHES, RIGHT_INCHES = 8.4, 0.75, 0.2
PLOT_INCHES, OTHER_PLOT_INCHES = 2.6, 1.6
TITLE_INCHES, BOTTOM_INCHES = 0.4, 0.55
NUM_COLUMNS = 700
LEGEND = ("each step", "smoothed", "held out", "not a number", "resumed")
FEW_STEPS = 60
"""Up to so many steps, each is a dot."""

_drawing = threading.Lock()
"""Matplotlib's style is that of the whole process."""


def picture_svg(shown: Sequence[Panel]) -> bytes:
    """The panels below one another as SVG; the same bytes for the same panels."""
    return as_svg(lambda: draw(shown))


def as_svg(drawn: Callable[[], "Figure"]) -> bytes:
    """A figure as SVG; the same bytes for the same figure."""
    import matplotlib
    from matplotlib import style

    # Neither the user's style nor the time of day or a random number may decide the bytes.
    with _drawing, style.context("default"), matplotlib.rc_context({"svg.hashsalt": "opensloth"}):
        out = io.BytesIO()
        drawn().savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()


def prepare_to_draw() -> None:
    """Import what drawing takes, which is most of the time of a first picture."""
    import matplotlib.backends.backend_svg
    import matplotlib.style  # noqa: F401

    stacked(["loss"])


def draw(shown: Sequence[Panel]) -> "Figure":
    """The figure: steps to the right, every step faint and the smoothed curve in front of it."""
    figure, all_axes = stacked([panel.title for panel in shown])
    for axes, panel in zip(all_axes, shown, strict=True):
        _panel(axes, panel)
    _legend(all_axes)
    return figure


def stacked(titles: Sequence[str]) -> "tuple[Figure, list[Any]]":
    """An empty figure with a plot for each title, below one another over the same steps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    heights = [PLOT_INCHES, *[OTHER_PLOT_INCHES] * (len(titles) - 1)]
    total = BOTTOM_INCHES + sum(heights) + TITLE_INCHES * len(heights)
    figure = Figure(figsize=(WIDTH_INCHES, total), facecolor="white")
    FigureCanvasAgg(figure)
    # Placed by hand: a layout engine's solver does not give the same digits twice.
    left, width = LEFT_INCHES / WIDTH_INCHES, (WIDTH_INCHES - LEFT_INCHES - RIGHT_INCHES) / WIDTH_INCHES
    bottom = total
    all_axes: list[Any] = []
    for title, height in zip(titles, heights, strict=True):
        bottom -= TITLE_INCHES + height
        place = (left, bottom / total, width, height / total)
        axes = figure.add_axes(place, sharex=all_axes[0] if all_axes else None)
        all_axes.append(axes)
        _style(axes, title)
    for axes in all_axes[:-1]:
        axes.tick_params(labelbottom=False)
    all_axes[-1].set_xlabel("step", color=MUTED)
    return figure, all_axes


def _style(axes: Any, title: str) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#c4c8ce")
    axes.tick_params(colors=MUTED, labelsize=9)
    axes.grid(axis="y", color="#eceef1", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(9, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    if "accuracy" in title:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))


def _panel(axes: Any, panel: Panel) -> None:
    for step in panel.resumed:
        first = step == panel.resumed[0]
        axes.axvline(step, color=MUTED, linewidth=0.9, linestyle=":", label="resumed" if first else None)
    if panel.curve:
        _curve(axes, panel)
    if panel.held_out:
        steps, values = zip(*panel.held_out, strict=True)
        known = np.where(np.isfinite(values), values, np.nan)
        axes.plot(
            steps, known, "o-", color=HELD_OUT, markersize=4.5, linewidth=1.2, label="held out", zorder=4
        )


def _legend(all_axes: Sequence[Any]) -> None:
    """One for all panels, beside the first title, where it hides no curve."""
    lines = {
        label: line
        for axes in all_axes
        for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    labels = [label for label in LEGEND if label in lines]
    if len(labels) > 1:
        all_axes[0].legend(
            [lines[label] for label in labels],
            labels,
            loc="lower right",
            bbox_to_anchor=(1.0, 0.98),
            ncols=len(labels),
            frameon=False,
            fontsize=9,
            labelcolor=MUTED,
        )


def _curve(axes: Any, panel: Panel) -> None:
    steps = np.array([step for step, _ in panel.curve])
    values = np.array([value for _, value in panel.curve], dtype=float)
    finite = np.isfinite(values)
    known, line = np.where(finite, values, np.nan), smoothed(values)
    line = np.where(finite, line, np.nan)
    places = visible_places(values, NUM_COLUMNS)
    is_short = len(values) <= FEW_STEPS
    raw = {"marker": "o", "markersize": 3.5, "linewidth": 0} if is_short else {"linewidth": 0.7}
    axes.plot(steps[places], known[places], color=RAW if len(values) > 1 else LINE, label="each step", **raw)
    if len(values) > 1:
        axes.plot(steps[places], line[places], color=LINE, linewidth=1.9, label="smoothed", zorder=3)
    if not finite.all():
        lost = steps[~finite][visible_places(steps[~finite].astype(float), NUM_COLUMNS)]
        axes.plot(
            lost,
            np.zeros(len(lost)),
            "x",
            color="#b3261e",
            markersize=6,
            transform=axes.get_xaxis_transform(),
            clip_on=False,
            label="not a number",
            zorder=5,
        )
