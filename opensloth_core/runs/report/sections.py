"""The tables of a report: evaluations, data, ranks, checkpoints, versions, files."""

from collections.abc import Mapping, Sequence

from opensloth_core.data.ledger import Ledger
from opensloth_core.errors import ConfigError
from opensloth_core.preview.balance import balances
from opensloth_core.runs.report.markup import code, plain, table
from opensloth_core.runs.report.numbers import decimals, duration, measure, percent, size
from opensloth_core.runs.report.record import RunRecord
from opensloth_core.runs.report.redact import redacted
from opensloth_core.runs.statistics import (
    ENOUGH_STEPS,
    WARM_UP_STEPS,
    Evaluation,
    RankStatistics,
    number,
    rank_statistics,
)

MAX_EVALUATIONS = 12
MAX_CHECKPOINTS = 10

BEST = {"loss": min, "reward": max}
"""The metric that says which evaluation was the best, and whether low or high is good."""

FILES = (
    ("adapter", "the trained adapter"),
    ("model", "the trained model"),
    ("checkpoints", "what the run resumes from"),
    ("config.json", "the resolved settings"),
    ("events.jsonl", "everything that happened, from which this report is made"),
    ("logs", "what each process printed"),
)


def evaluation_lines(record: RunRecord) -> list[str]:
    """A line an evaluation on the rows held out, the best one marked."""
    evaluations = record.evaluations
    if not evaluations:
        return []
    names = list(dict.fromkeys(name for evaluation in evaluations for name in evaluation.metrics))
    best = _best(evaluations)
    shown = [
        e for e in evaluations if e in (evaluations[0], best) or e in evaluations[-MAX_EVALUATIONS + 2 :]
    ]
    rows = [
        (
            f"**{e.step:,}** (best)" if e is best and len(evaluations) > 1 else f"{e.step:,}",
            *(measure(name, e.metrics[name]) if name in e.metrics else "" for name in names),
            "" if e.num_units is None else f"{e.num_units:,}",
            "" if e.seconds is None else duration(e.seconds),
        )
        for e in shown
    ]
    head = ("step", *(plain(name.replace("_", " ")) for name in names), "units", "took")
    left = len(evaluations) - len(shown)
    more = ["", f"{left} of {len(evaluations)} evaluations are left out here; `events.jsonl` has all."]
    return [*table(head, rows, right=range(len(head))), *(more if left else [])]


def data_lines(record: RunRecord) -> list[str]:
    """Where the data came from, its key, and where its rows and tokens went."""
    prepared = record.last("prepared")
    if prepared is None:
        return []
    seconds = number(prepared, "seconds")
    took = f", prepared in {duration(seconds)}" if seconds is not None else ", prepared now"
    origin = ", cached: nothing had to be prepared" if prepared.get("cached") else took
    lines = [f"Key {code(str(prepared.get('key')))}{origin}, from", ""]
    lines += [f"- {code(source)}" for source in record.sources] or ["- a source that is not recorded"]
    return [*lines, *_ledger(prepared.get("ledger"))]


def rank_lines(record: RunRecord) -> list[str]:
    """A line a rank: how fast it was, what it held, what it waited for."""
    ranks = rank_statistics(record.events)
    if not ranks:
        return []
    tells_stragglers = any(rank.straggler_ratio is not None for rank in ranks)
    rows = [_rank(record, rank)[: None if tells_stragglers else -1] for rank in ranks]
    head = ("rank", "device", "steps", "tokens/s", "time a step", "peak memory", "waited for data", "work")
    lines = table(head[: len(rows[0])], rows, right=range(2, len(rows[0])))
    if max(rank.num_steps for rank in ranks) >= WARM_UP_STEPS + ENOUGH_STEPS:
        lines += [
            "",
            f"The first {WARM_UP_STEPS} steps of a start are left out of speed and times; "
            "the time a step is a median.",
        ]
    if tells_stragglers:
        lines += [
            "",
            "Work is a rank's time in a step, without waiting for the others, over that of the median rank; "
            "above 1 the others wait for it.",
        ]
    return lines


def checkpoint_lines(record: RunRecord) -> list[str]:
    """The checkpoints that were written, and the steps at which the run was resumed."""
    events = [event for event in record.events if event["kind"] in ("checkpoint", "resumed")]
    rows = []
    for event in events[-MAX_CHECKPOINTS:]:
        step = number(event, "step")
        path = str(event.get("path") or event.get("checkpoint") or "")
        written, seconds = number(event, "bytes"), number(event, "seconds")
        is_gone = event["kind"] == "checkpoint" and path and not (record.path / path).exists()
        rows.append(
            (
                "" if step is None else f"{step:,.0f}",
                "resumed from" if event["kind"] == "resumed" else "removed since" if is_gone else "written",
                code(path),
                "" if written is None else size(written),
                "" if seconds is None else duration(seconds),
            )
        )
    if not rows:
        return []
    left = len(events) - len(rows)
    more = ["", f"{left} earlier ones are left out here."] if left else []
    return [*table(("step", "what", "folder", "size", "took"), rows, right=(0, 3, 4)), *more]


def version_lines(record: RunRecord) -> list[str]:
    """What the run was made with."""
    event = record.last("versions")
    if event is None:
        return []
    devices = [plain(str(name)) for name in event.get("devices") or []]
    counts = {name: devices.count(name) for name in devices}
    versions: dict[str, str] = {}
    for name, value in event.items():
        if isinstance(value, Mapping):
            versions |= {str(package): str(version) for package, version in value.items() if version}
        elif isinstance(value, str) and name != "kind":
            versions[name] = value
    machine = [plain(versions.pop(name)) for name in ("platform",) if name in versions]
    machine += [f"{count} x {name}" if count > 1 else name for name, count in counts.items()]
    told = [f"{plain(name)} {plain(version)}" for name, version in versions.items()]
    return [line for line in (" · ".join(machine), "", " · ".join(told)) if line or (machine and told)]


def file_lines(record: RunRecord) -> list[str]:
    """What lies beside the report."""
    lines = []
    for name, what in FILES:
        path = record.path / name
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            lines.append(f"- [{name}{'/' if path.is_dir() else ''}]({name}): {what}")
    return lines


def _best(evaluations: Sequence[Evaluation]) -> Evaluation | None:
    for name, choose in BEST.items():
        known = [e for e in evaluations if name in e.metrics and e.metrics[name] == e.metrics[name]]
        if known:
            value = choose(e.metrics[name] for e in known)
            return next(e for e in known if e.metrics[name] == value)
    return None


def _ledger(values: object) -> list[str]:
    if not isinstance(values, Mapping):
        return []
    try:
        equations = balances(Ledger.of(values))
    except (ConfigError, ZeroDivisionError):  # a ledger of another version, or of no rows
        return []
    rows = [
        (e.name, f"{e.total:,} {e.label}".strip(), plain(" + ".join(e.parts())), plain(redacted(e.note)))
        for e in equations
    ]
    return ["", *table(("", "total", "of which", ""), rows, right=(1,))]


def _rank(record: RunRecord, rank: RankStatistics) -> tuple[str, ...]:
    def shown(value: float | None, text: str) -> str:
        return "" if value is None else text

    speed, seconds, memory = rank.tokens_per_second, rank.step_seconds, rank.memory_bytes
    wait, ratio = rank.data_wait_share, rank.straggler_ratio
    return (
        str(rank.rank),
        plain(record.devices[rank.rank]) if rank.rank < len(record.devices) else "",
        f"{rank.num_steps:,}",
        shown(speed, decimals(round(speed or 0, 0 if (speed or 0) >= 10 else 2))),
        shown(seconds, duration(seconds or 0)),
        shown(memory, size(memory or 0)),
        shown(wait, percent(wait or 0)),
        shown(ratio, f"{ratio or 0:.2f}"),
    )
