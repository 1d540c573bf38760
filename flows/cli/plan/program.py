"""`os-train plan`, which takes what the training commands take."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from flows.cli.command import Command, Program
from flows.cli.request import FinetuneRequest, finetune_request
from flows.cli.settings import SourceSettings
from flows.cli.shown import SHOWN_FLAGS, ShownSettings


class PlanSettings(ShownSettings, SourceSettings):
    """Where settings come from, and how the plan is printed."""


def plan_program(methods: Mapping[str, Command]) -> Program:
    """`os-train plan`, with a command for each method.

    Args:
        methods: the training commands.
    """
    return Program(
        name="os-train plan",
        summary="Say what a training command would do, take and cost, before it does.",
        purpose=(
            "Takes the very arguments of a training command and says what it would do: data and whether it is"
            " prepared, rows, tokens, steps, memory, disk, time, and all that is wrong. Writes nothing, takes"
            " no GPU; the same as --dry-run. Exit code 0 if it would run."
        ),
        commands={name: _plan_command(name, command) for name, command in methods.items()},
    )


def _plan_command(method: str, command: Command) -> Command:
    return replace(
        command,
        summary=f"Plan os-train {method}.",
        usage=command.usage.replace("os-train", "os-train plan"),
        description=(
            f"Says what os-train {method}, with these arguments, would do and take, and all that is wrong"
            " with it. Rows and tokens are counted where the data is prepared, and estimated from a sample"
            " where it is not."
        ),
        examples=tuple(
            example.replace("os-train", "os-train plan").replace(" --output my_adapter", "")
            for example in command.examples
        ),
        extra=PlanSettings,
        configure=_configure(method),
        run=_plan,
        also=SHOWN_FLAGS,
    )


def _configure(method: str) -> Callable[[Mapping[str, Any]], FinetuneRequest]:
    return lambda given: finetune_request({**given, "dry_run": True}, method)


def _plan(request: FinetuneRequest) -> int:
    from flows.cli.plan.show import run_plan

    return run_plan(request)
