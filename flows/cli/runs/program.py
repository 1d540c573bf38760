"""The commands of `os-train runs`; what they do is imported only once one of them is called."""

from collections.abc import Mapping
from typing import Any

from flows.cli.command import Command, Program
from flows.cli.runs.arguments import (
    CompareSettings,
    LogsSettings,
    LsSettings,
    ReproSettings,
    ResumeRunSettings,
    RmSettings,
    ShowSettings,
    WaitSettings,
)
from flows.cli.shown import SHOWN_FLAGS, Shown, split_shown
from opensloth_core.errors import ConfigError

JSON_FLAG = {"as_json": ("--json",)}


def _ls(settings: LsSettings) -> int:
    from flows.cli.runs.ls import run_ls

    return run_ls(settings.state, settings.method, settings.limit, settings.as_json)


def _show(settings: ShowSettings) -> int:
    from flows.cli.runs.show import run_show

    return run_show(settings.run, settings.as_json)


def _logs(settings: LogsSettings) -> int:
    from flows.cli.runs.logs import run_logs

    return run_logs(settings.run, settings.rank, settings.preparation, settings.lines, settings.follow)


def _wait(settings: WaitSettings) -> int:
    from flows.cli.runs.wait import run_wait

    return run_wait(settings.run, settings.timeout)


def _rm(settings: RmSettings) -> int:
    from flows.cli.runs.rm import run_rm

    return run_rm(settings.runs, settings.dry_run, settings.yes, settings.as_json)


def _compare(settings: CompareSettings) -> int:
    from flows.cli.runs.compare import run_compare

    return run_compare(settings.runs, settings.html, settings.svg, settings.as_json)


def _resume(asked: tuple[ResumeRunSettings, Shown]) -> int:
    from flows.cli.runs.resume import run_resume

    settings, shown = asked
    return run_resume(settings.run, settings.allow_drift, shown)


def _repro(asked: tuple[ReproSettings, Shown]) -> int:
    from flows.cli.runs.repro import run_repro

    settings, shown = asked
    return run_repro(settings.run, settings.dry_run, shown)


def _resume_settings(given: Mapping[str, Any]) -> tuple[ResumeRunSettings, Shown]:
    shown, rest = split_shown(given)
    return ResumeRunSettings.of(rest), shown


def _repro_settings(given: Mapping[str, Any]) -> tuple[ReproSettings, Shown]:
    shown, rest = split_shown(given)
    settings = ReproSettings.of(rest)
    if settings.dry_run and (shown.quiet or shown.verbose):
        raise ConfigError(f"dry_run: says what differs, and runs nothing; drop {shown.flags[0]}")
    return settings, shown


LS = Command(
    name="ls",
    summary="List runs, newest first: state, loss, speed, and whether the data was cached.",
    usage="os-train runs ls [flags]",
    description=(
        "Lists the runs of this home. On wide terminals with their names; on others by the four characters at"
        " the end of the name, which every command takes."
    ),
    examples=("os-train runs ls", "os-train runs ls --state failed -n 5", "os-train runs ls --json"),
    settings=LsSettings,
    configure=LsSettings.of,
    run=_ls,
    also={**JSON_FLAG, "limit": ("-n",)},
)

SHOW = Command(
    name="show",
    summary="Show one run: settings, time line, data, losses, checkpoints, paths.",
    usage="os-train runs show RUN [flags]",
    description="Shows what is known of a run; its report.md has the answers, ranks and versions as well.",
    examples=("os-train runs show last", "os-train runs show a1b2 --json"),
    settings=ShowSettings,
    configure=ShowSettings.of,
    run=_show,
    positional="run",
    also=JSON_FLAG,
)

LOGS = Command(
    name="logs",
    summary="Print what a run said, or all that one of its ranks printed.",
    usage="os-train runs logs RUN [flags]",
    description=(
        "Prints a run's lines as they were shown when it ran, with their times; with --rank the log of that"
        " rank's process."
    ),
    examples=("os-train runs logs last -f", "os-train runs logs a1b2 --rank 1 --lines 40"),
    settings=LogsSettings,
    configure=LogsSettings.of,
    run=_logs,
    positional="run",
    also={"follow": ("-f",)},
)

WAIT = Command(
    name="wait",
    summary="Wait until a run has ended; its end is the exit code.",
    usage="os-train runs wait RUN [flags]",
    description=(
        "Exit code 0: the run completed; 1: it failed, or the process that drove it was killed; 130: it was"
        " cancelled; 124: it still goes on after --timeout."
    ),
    examples=("os-train runs wait last", "os-train runs wait a1b2 --timeout 3600"),
    settings=WaitSettings,
    configure=WaitSettings.of,
    run=_wait,
    positional="run",
)

RM = Command(
    name="rm",
    summary="Remove runs with their checkpoints and results.",
    usage="os-train runs rm RUN … [flags]",
    description=(
        "Removes the folders of runs. Never one that is running, that another run started from, or that a"
        " link in the home leads to. Prepared data stays: os-train cache gc removes that."
    ),
    examples=("os-train runs rm a1b2 --dry-run", "os-train runs rm a1b2 c3d4 --yes"),
    settings=RmSettings,
    configure=RmSettings.of,
    run=_rm,
    positional="runs",
    also=JSON_FLAG,
)

COMPARE = Command(
    name="compare",
    summary="Compare runs: settings that differ, results, and their loss curves.",
    usage="os-train runs compare RUN RUN … [flags]",
    description="Shows where runs differ and draws their curves over one another.",
    examples=("os-train runs compare a1b2 last", "os-train runs compare a1b2 c3d4 --html two.html"),
    settings=CompareSettings,
    configure=CompareSettings.of,
    run=_compare,
    positional="runs",
    also=JSON_FLAG,
)

RESUME = Command(
    name="resume",
    summary="Go on with a run that did not end well.",
    usage="os-train runs resume RUN [flags]",
    description="Does what the training command does with --resume RUN: all settings are that run's.",
    examples=("os-train runs resume last",),
    settings=ResumeRunSettings,
    configure=_resume_settings,
    run=_resume,
    positional="run",
    also=SHOWN_FLAGS,
)

REPRO = Command(
    name="repro",
    summary="Run again what a run's record says, and say what differs.",
    usage="os-train repro RUN [flags]",
    description=(
        "Starts a new run with the settings, number of GPUs and batches of an earlier one, after saying which"
        " versions, data and model files are not what they were; at the end both losses stand side by side."
    ),
    examples=("os-train repro last --dry-run", "os-train repro a1b2"),
    settings=ReproSettings,
    configure=_repro_settings,
    run=_repro,
    positional="run",
    also=SHOWN_FLAGS,
)

RUNS = Program(
    name="os-train runs",
    summary="See what was run and how it went, follow, compare, resume, remove.",
    purpose=(
        "Every run keeps its record in a folder of its own. RUN is the name of that folder, how it begins,"
        " the four characters at its end, its path, or last."
    ),
    commands={command.name: command for command in (LS, SHOW, LOGS, WAIT, COMPARE, RESUME, RM)},
)
