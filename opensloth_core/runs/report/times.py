"""Where the time of a run went, as a table and as bars."""

import math
from collections.abc import Sequence

from opensloth_core.runs.report.markup import table
from opensloth_core.runs.report.numbers import duration
from opensloth_core.runs.report.record import RunRecord
from opensloth_core.runs.report.timeline import Span, time_to_first_step, timeline

WIDTH = 56
MAX_ATTEMPTS = 5


def time_lines(record: RunRecord) -> list[str]:
    """When the first step was done, and what each attempt did when."""
    spans = timeline(record.events)
    if not spans:
        return []
    lines: list[str] = []
    if (first := time_to_first_step(record.events)) is not None:
        lines = [f"The first step was done {duration(first)} after the run was created."]
    numbers = sorted({span.attempt for span in spans})
    for attempt in numbers[-MAX_ATTEMPTS:]:
        own = [span for span in spans if span.attempt == attempt]
        begun = 0.0 if attempt == 0 else min(span.start_seconds for span in own)
        if len(numbers) > 1:
            after = f", {duration(begun)} after the run was created" if attempt else ""
            lines += ["", f"Attempt {attempt + 1}{after}:"]
        lines += ["", *_attempt(own, begun)]
    return lines if lines[0] else lines[1:]


def _attempt(spans: Sequence[Span], begun: float) -> list[str]:
    phases: dict[str, list[Span]] = {}
    for span in spans:
        phases.setdefault(span.phase, []).append(span)
    rows = [_row(phase, own, begun) for phase, own in phases.items()]
    end = max(span.end_seconds for span in spans) - begun
    return [
        *table(("phase", "from", "to", "took"), rows, right=(1, 2, 3)),
        "",
        "```text",
        *bars(
            {
                phase: [(s.start_seconds - begun, s.end_seconds - begun) for s in own]
                for phase, own in phases.items()
            },
            end,
        ),
        "```",
    ]


def _row(phase: str, spans: Sequence[Span], begun: float) -> tuple[str, str, str, str]:
    start = min(span.start_seconds for span in spans) - begun
    end = max(span.end_seconds for span in spans) - begun
    if spans[0].rank is None:
        took = duration(sum(span.seconds for span in spans))
        title = f"{phase}, {len(spans)} times" if len(spans) > 1 else phase
    else:
        took = _range([span.seconds for span in spans])
        title = phase
    return title, duration(max(0.0, start)), duration(end), took


def _range(seconds: Sequence[float]) -> str:
    """What the fastest and the slowest rank took, where that is not the same."""
    low, high = duration(min(seconds)), duration(max(seconds))
    return high if low == high else f"{low} to {high}"


def bars(phases: dict[str, list[tuple[float, float]]], end: float) -> list[str]:
    """A line a phase, over the same seconds: `import   ████      `."""
    if end <= 0:
        return [f"{phase} █" for phase in phases]
    names = max(map(len, phases))
    lines = []
    for phase, pieces in phases.items():
        cells = [" "] * WIDTH
        for start, stop in pieces:
            first = min(WIDTH - 1, max(0, math.floor(start / end * WIDTH)))
            for cell in range(first, max(first + 1, min(WIDTH, round(stop / end * WIDTH)))):
                cells[cell] = "█"
        lines.append(f"{phase:{names}} ▕{''.join(cells)}▏")
    half, whole = duration(end / 2), duration(end)
    axis = "0 s".ljust((WIDTH - len(half)) // 2) + half
    return [*lines, " " * (names + 2) + axis + whole.rjust(WIDTH - len(axis))]
