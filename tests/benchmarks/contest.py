"""Tools taking turns at the same rows, and the table of what each took."""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.measure import Measured, MeasurementError
from tests.benchmarks.table import Table

BARE, OPENSLOTH = "encode_batch alone", "OpenSloth"


@dataclass
class Contender:
    """A tool; `measure` takes a new scratch folder and gives what each setting of the tool took."""

    name: str
    measure: Callable[[Path], Mapping[str, Measured]] | None
    """None: this tool is not measured in this run."""
    runs: dict[str, list[Measured]] = field(default_factory=dict)
    failure: str = ""

    def run(self, scratch: Path) -> None:
        """Measure once more; a failure is kept for the table and ends this tool's turns."""
        if self.measure is None or self.failure:
            return
        scratch.mkdir(parents=True)
        try:
            for setting, measured in self.measure(scratch).items():
                self.runs.setdefault(setting, []).append(measured)
        except MeasurementError as err:
            print(f"{self.name} failed: {err}", file=sys.stderr)
            self.failure = "failed; its last lines are above"

    def fastest(self) -> Measured | None:
        """The best run of the best setting."""
        every = [run for runs in self.runs.values() for run in runs]
        return min(every, key=lambda run: run.work_seconds, default=None)


def contest_table(
    contenders: Sequence[Contender], num_rows: int, repeats: int, scratch: Path, baseline: str
) -> Table:
    """Let every contender have `repeats` turns; ratios are to OpenSloth's setting `baseline`."""
    for turn in range(repeats):
        for contender in contenders:
            print(f"turn {turn + 1} of {repeats}: {contender.name}", file=sys.stderr)
            contender.run(scratch / f"turn-{turn}" / contender.name.replace(" ", "-"))
    by_name = {contender.name: contender for contender in contenders}
    bare = by_name[BARE].fastest()
    cold = _best(by_name[OPENSLOTH].runs.get(baseline, []))
    return _table(contenders, num_rows, bare, cold)


def _table(
    contenders: Sequence[Contender], num_rows: int, bare: Measured | None, cold: Measured | None
) -> Table:
    header = "tool|setting|work s|whole s|cpu s|rows/s|of bare|work x|whole x|load|note"
    table = Table(header.split("|"))
    for contender in contenders:
        for setting, runs in contender.runs.items():
            best = _best(runs)
            assert best is not None
            loads = [run.load for run in runs]
            table.add(
                contender.name,
                setting,
                f"{best.work_seconds:.2f}",
                _number(best.process_seconds),
                f"{best.cpu_seconds:.1f}",
                f"{num_rows / best.work_seconds:,.0f}",
                _number(bare.work_seconds / best.work_seconds) if bare else "-",
                _number(best.work_seconds / cold.work_seconds) if cold else "-",
                _number(best.process_seconds / cold.process_seconds) if cold else "-",
                f"{min(loads):.1f}-{max(loads):.1f}",
                runs[0].note,
            )
        if contender.failure or not contender.runs:
            status = contender.failure or "not measured"
            table.add(contender.name, status, *[""] * (len(table.header) - 2))
    return table


def _best(runs: Sequence[Measured]) -> Measured | None:
    """The least of each number over the runs of one setting."""
    if not runs:
        return None
    return Measured(
        min(run.work_seconds for run in runs),
        min(run.process_seconds for run in runs),
        min(run.cpu_seconds for run in runs),
        min(run.load for run in runs),
    )


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"
