"""What the model answered before training and after it."""

from collections.abc import Mapping
from typing import Any

from opensloth_core.runs.report.markup import plain, table
from opensloth_core.runs.report.record import RunRecord

MAX_SAMPLES = 8
LONGEST_PROMPT = 600
LONGEST_ANSWER = 1000


def generation_lines(record: RunRecord) -> list[str]:
    """One small table a prompt: the answer before, the one after, and the one in the data."""
    prompts = _answers(record)
    lines: list[str] = []
    for prompt, answers in list(prompts.items())[:MAX_SAMPLES]:
        rows = [
            (f"**{moment}**", plain(answers[moment], LONGEST_ANSWER) or "*(nothing)*")
            for moment in ("before", "after", "reference")
            if moment in answers
        ]
        lines += ["", *table(("prompt", plain(prompt, LONGEST_PROMPT) or "*(nothing)*"), rows)]
    if left := len(prompts) - MAX_SAMPLES:
        lines += ["", f"{left} more in `events.jsonl`."] if left > 0 else []
    return lines[1:]


def _answers(record: RunRecord) -> dict[str, dict[str, str]]:
    """By prompt, what was answered at each moment; the later where a moment was recorded twice."""
    prompts: dict[str, dict[str, str]] = {}
    for event in record.all("generation"):
        for sample in event.get("samples") or []:
            if not isinstance(sample, Mapping) or not isinstance(sample.get("prompt"), str):
                continue
            answers = prompts.setdefault(sample["prompt"], {})
            _add(answers, str(event.get("moment")), sample.get("completion"))
            _add(answers, "reference", sample.get("reference"))
    return prompts


def _add(answers: dict[str, str], moment: str, text: Any) -> None:
    if text is not None:
        answers[moment] = str(text)
