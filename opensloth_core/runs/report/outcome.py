"""How a run went, in one sentence, and what was said of it."""

from opensloth_core.runs.report.markup import code, message, plain
from opensloth_core.runs.report.numbers import counted, duration, measure
from opensloth_core.runs.report.record import RunRecord
from opensloth_core.runs.report.redact import redacted
from opensloth_core.runs.report.timeline import attempts, running_seconds

ENDINGS = {
    "completed": "completed",
    "failed": "failed",
    "cancelled": "was cancelled",
    "crashed": "crashed",
}
TRAINED = {"lora": " with LoRA", "qlora": " with QLoRA", "full": " of all weights"}
MAX_WARNINGS = 10


def outcome_lines(record: RunRecord) -> list[str]:
    """The sentence, the reason where the run failed, and the warnings of the run."""
    lines = [_sentence(record)]
    last = record.last("state")
    if last is not None and last.get("message") and record.state != "completed":
        lines += ["", *message(str(last["message"]))]
    if warnings := _warnings(record):
        lines += ["", "Warnings:", "", *(f"- {plain(text, 500)}" for text in warnings[:MAX_WARNINGS])]
        if left := len(warnings) - MAX_WARNINGS:
            lines += [f"- … and {left} more in `events.jsonl`"] if left > 0 else []
    return lines


def devices_title(record: RunRecord) -> str | None:
    """`2 GPUs (NVIDIA H200)`, `1 CPU process`."""
    size = record.world_size
    if size is None:
        return None
    if all(device == "cpu" for device in record.devices):
        return f"{size} CPU process{'' if size == 1 else 'es'}" if record.devices else counted(size, "rank")
    versions = record.last("versions") or {}
    names = dict.fromkeys(plain(str(name)) for name in versions.get("devices") or [])
    return counted(size, "GPU") + (f" ({', '.join(names)})" if names else "")


def _sentence(record: RunRecord) -> str:
    ending = f"**{_subject(record)} {_ending(record)}**"
    seconds = duration(running_seconds(record.events)) if record.events else None
    if not record.losses:
        return f"{ending} after {seconds}." if seconds else f"{ending}."
    facts = [f"{_steps(record, record.losses[-1].step)} in {seconds}{_starts(record)}", _steps_told(record)]
    return f"{ending}: {'; '.join(fact for fact in (*facts, _held_out(record)) if fact)}."


def _subject(record: RunRecord) -> str:
    if not record.settings:
        return "The run"
    method = record.method.upper()
    kind = str(record.settings.get("finetuning_type") or "")
    what = f"{method}{TRAINED.get(kind, '')}" if record.is_training else f"Preparation of {method} data"
    of = " for" if not record.is_training else "," if kind == "full" else " of"
    parts = [what + (f"{of} {code(record.model_title)}" if record.model_title else "")]
    parts += [f"on {code(record.data_title)}"] if record.data_title else []
    return " ".join(parts)


def _ending(record: RunRecord) -> str:
    if record.state in ENDINGS:
        return ENDINGS[record.state]
    return f"has not ended, and was {record.state} last" if record.state else "has not begun"


def _steps(record: RunRecord, done: int) -> str:
    """`3 of 6 steps on 2 GPUs`."""
    total = (record.last("step") or {}).get("total_steps")
    of = f" of {total:,}" if isinstance(total, int) else ""
    devices = devices_title(record)
    return f"{done:,}{of} step{'' if total == 1 else 's'}" + (f" on {devices}" if devices else "")


def _starts(record: RunRecord) -> str:
    count = len(attempts(record.events))
    return f" ({count} attempts)" if count > 1 else ""


def _steps_told(record: RunRecord) -> str:
    """What came of it from the first step to the last."""
    changes = [
        f"{panel.title} {_change(panel.title, panel.curve[0].value, panel.curve[-1].value)}"
        for panel in record.panels
        if panel.curve
    ]
    return f"{'first step to last: ' if len(record.losses) > 1 else ''}{', '.join(changes)}"


def _held_out(record: RunRecord) -> str | None:
    if not record.evaluations:
        return None
    first, last = record.evaluations[0].metrics, record.evaluations[-1].metrics
    told = [
        f"{plain(name.replace('_', ' '))} {_change(name, first.get(name, value), value)}"
        for name, value in last.items()
    ]
    return f"held out: {', '.join(told)}" if told else None


def _change(name: str, first: float, last: float) -> str:
    before, after = measure(name, first), measure(name, last)
    return after if before == after else f"{before} → {after}"


def _warnings(record: RunRecord) -> list[str]:
    """Warnings and errors, each once."""
    loud = [event for event in record.all("message") if event.get("level") in ("warning", "error")]
    return list(dict.fromkeys(redacted(str(event.get("text", ""))) for event in loud))
