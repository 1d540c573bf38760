"""What `os-train plan` and `--dry-run` print."""

import json
import sys
import textwrap
from collections.abc import Iterator, Sequence

from flows.cli.cache.answer import answered, terminal_width
from flows.cli.cache.explain import explanation_lines, tokens_text
from flows.cli.plan.quantities import batch_text, data_lines, disk_text, memory_lines, steps_text, time_text
from flows.cli.plan.record import record
from flows.cli.plan.settings import differing_settings, settings_of
from flows.cli.request import FinetuneRequest
from flows.cli.settings import problem_text
from flows.cli.shown import Shown
from opensloth_core.plan.plan import Plan, make_plan

_NAME_WIDTH = 9
_NO_TOKENIZER = "the model's tokenizer is not here yet"
_EXIT_CODES = {True: 0, False: 2, None: 3}
"""By whether it would run; None where that cannot be told yet."""


def run_plan(request: FinetuneRequest) -> int:
    """Print the plan of a run and give the exit code: 0 if it would run, 2 if not, 3 if none can tell yet."""
    return answered(f"os-train plan {request.config.method}", lambda: _plan(request))


def _plan(request: FinetuneRequest) -> int:
    # Imported here, since it holds the commands and they hold this.
    from flows.cli.os_train import METHODS

    command, shown = METHODS[request.config.method], request.plan or Shown()
    plan = make_plan(request.config, lambda text: print(text, file=sys.stderr))
    problems = [problem_text(err, command.settings, command.flags, request.origins) for err in plan.problems]
    if shown.as_json:
        print(json.dumps(record(plan, problems, request.note), indent=2))
    else:
        print(*_lines(plan, problems, request.note, shown.verbose), sep="\n")
    return _EXIT_CODES[plan.would_run]


def _lines(plan: Plan, problems: Sequence[str], note: str | None, verbose: bool) -> Iterator[str]:
    yield plan.config.title
    if note is not None:
        yield from _fact("Preset", note.removeprefix("preset "))
    yield from _data(plan)
    if plan.fit is not None:
        yield from _fact("Batch", batch_text(plan))
    yield from _fact("Steps", steps_text(plan))
    for name, text in memory_lines(plan):
        yield from _fact(name, text)
    if plan.disk is not None:
        yield from _fact("Disk", disk_text(plan))
    yield from _fact("Time", time_text(plan))
    for text in plan.fetches:
        yield from _fact("Fetches", text)
    yield from _fact("Run", plan.run_dir)
    for name in ("output", "data_output"):
        if (folder := getattr(plan.config, name)) is not None:
            yield from _fact("Copy of", f"{'the result' if name == 'output' else 'the data'}: {folder}")
    rows = settings_of(plan.config) if verbose else differing_settings(plan.config)
    yield from _section("All settings" if verbose else "Settings that differ from the defaults", rows)
    warnings = [f"{one.check}: {one.text}; {one.remedy}" for one in plan.warnings]
    yield from _section("Warnings", _items(warnings))
    yield from _section("Problems", _items(problems))
    yield ""
    yield _verdict(plan, len(problems), len(warnings))


def _data(plan: Plan) -> Iterator[str]:
    if plan.given is not None:
        yield from _fact("Data", f"prepared before, used as it is: {plan.given.reference}")
    elif plan.data is None:
        why = "see the problems below" if plan.problems else _NO_TOKENIZER
        yield from _fact("Data", f"not known: {why}")
    else:
        yield from explanation_lines(plan.data)
        if plan.data.tokens is not None and plan.data.tokens.state != "none":
            yield from _fact("", f"tokens: {tokens_text(plan.data.tokens)}")
    for name, text in data_lines(plan):
        yield from _fact(name, text)


def _fact(name: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        min(terminal_width(), 100),
        initial_indent=f"{name:{_NAME_WIDTH}}",
        subsequent_indent=" " * _NAME_WIDTH,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _items(texts: Sequence[str]) -> list[str]:
    width = min(terminal_width(), 100) - 2
    return [
        line
        for text in texts
        for line in textwrap.wrap(
            text, width, initial_indent="- ", subsequent_indent="  ",
            break_long_words=False, break_on_hyphens=False,
        )
    ]  # fmt: skip


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", title, *(f"  {line}" for line in lines)] if lines else []


def _verdict(plan: Plan, num_problems: int, num_warnings: int) -> str:
    if plan.would_run is None:
        return f"Cannot tell yet: {_NO_TOKENIZER}, so no row could be tried."
    if not plan.would_run:
        return f"Would not run: {num_problems} problem{'' if num_problems == 1 else 's'}."
    told = f", with {num_warnings} warning{'' if num_warnings == 1 else 's'}" if num_warnings else ""
    return f"Would run{told}."
