"""`os-train doctor`: whether this machine can do what a run needs, one line a check."""

import json
import os
import sys
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING

from flows.cli.cache.answer import answered, terminal_width
from flows.cli.command import Command
from opensloth_core.config.base import Settings

if TYPE_CHECKING:
    from opensloth_core.doctor.finding import Finding

_WORDS = {"ok": "ok", "note": "-", "warning": "WARN", "error": "ERROR"}
_COLOURS = {"ok": "\x1b[32m", "note": "\x1b[2m", "warning": "\x1b[33m", "error": "\x1b[31m"}
_RESET = "\x1b[0m"
_WORD_WIDTH = 7
_NAME_WIDTH = 15
_WIDEST = 110


class DoctorSettings(Settings):
    """What is looked at."""

    quick: bool = False
    """Leave out the smoke test of the ranks, the one check that imports torch."""

    as_json: bool = False
    """Print JSON."""


def _doctor(settings: DoctorSettings) -> int:
    return answered("os-train doctor", lambda: run_doctor(settings.quick, settings.as_json))


def run_doctor(quick: bool, as_json: bool) -> int:
    """Look at the machine, print what was found, and give the exit code: 1 where something is red."""
    from opensloth_core.doctor.examine import examine

    findings = []
    for finding in examine(quick):
        findings.append(finding)
        if not as_json:
            print(*lines(finding, coloured=_is_coloured()), sep="\n", flush=True)
    marks = [finding.mark for finding in findings]
    is_well = "error" not in marks
    if as_json:
        print(json.dumps({"ok": is_well, "checks": [asdict(one) for one in findings]}, indent=2))
    else:
        print("", _verdict(marks.count("error"), marks.count("warning")), sep="\n")
    return 0 if is_well else 1


def lines(finding: "Finding", coloured: bool) -> list[str]:
    """A finding: its mark in words, what was found, and the remedy under it."""
    word = f"{_WORDS[finding.mark]:{_WORD_WIDTH}}"
    if coloured:
        word = f"{_COLOURS[finding.mark]}{word}{_RESET}"
    indent = " " * (_WORD_WIDTH + _NAME_WIDTH)
    width = min(terminal_width(), _WIDEST) - len(indent)
    text = _wrapped(finding.text, width)
    remedy = _wrapped(f"-> {finding.remedy}", width) if finding.remedy else []
    first = f"{word}{finding.check:{_NAME_WIDTH}}{text[0]}"
    return [first, *(f"{indent}{line}" for line in (*text[1:], *remedy))]


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False) or [""]


def _verdict(num_errors: int, num_warnings: int) -> str:
    if not num_errors and not num_warnings:
        return "All is well."
    counts = [(num_errors, "error"), (num_warnings, "warning")]
    return ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts if count) + "."


def _is_coloured() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


DOCTOR = Command(
    name="doctor",
    summary="See whether this machine can do what a run needs, and what to do where not.",
    usage="os-train doctor [flags]",
    description=(
        "Looks at versions, GPUs and driver, whether ranks reach each other, Prefect's server, the store and"
        " its locks, shared memory, disks, clock, sandbox and tmux. One line each; exit code 1 when something"
        " is red. Takes a few seconds beside importing torch, which --quick leaves out."
    ),
    examples=("os-train doctor", "os-train doctor --quick --json"),
    settings=DoctorSettings,
    configure=DoctorSettings.of,
    run=_doctor,
    also={"as_json": ("--json",)},
)
