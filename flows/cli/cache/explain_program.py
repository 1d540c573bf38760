"""`os-train cache explain`, which takes what the training commands take."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from flows.cli.command import Command, Program
from flows.cli.request import FinetuneRequest, ResumeSettings, finetune_request


class ExplainSettings(ResumeSettings):
    """How a run would be driven, and how the answer is printed."""

    as_json: bool = False
    """Print JSON."""


def explain_program(methods: Mapping[str, Command]) -> Program:
    """`os-train cache explain`, with a command for each method.

    Args:
        methods: the training commands.
    """
    return Program(
        name="os-train cache explain",
        summary="Say why a training command would find its data, or what it would make anew.",
        purpose=(
            "Takes the very arguments of a training command and says, part by part, why its data would be"
            " found or not. Prepares and trains nothing."
        ),
        commands={name: _explain_command(name, command) for name, command in methods.items()},
    )


def _explain_command(method: str, command: Command) -> Command:
    return replace(
        command,
        summary=f"Explain what os-train {method} would find.",
        usage=command.usage.replace("os-train", "os-train cache explain"),
        description=(
            f"Says whether os-train {method}, with these arguments, would find its prepared data; if not,"
            " what differs from the nearest data that is there, and what of its tokens can be used again."
        ),
        examples=tuple(
            example.replace("os-train", "os-train cache explain").replace(" --output my_adapter", "")
            for example in command.examples
        ),
        extra=ExplainSettings,
        configure=_configure(method),
        run=_explain,
        also={"as_json": ("--json",)},
    )


def _configure(method: str) -> Callable[[Mapping[str, Any]], tuple[FinetuneRequest, bool]]:
    def configure(given: Mapping[str, Any]) -> tuple[FinetuneRequest, bool]:
        flags = {name: value for name, value in given.items() if name != "as_json"}
        return finetune_request(flags, method), bool(given.get("as_json"))

    return configure


def _explain(asked: tuple[FinetuneRequest, bool]) -> int:
    from flows.cli.cache.explain import run_explain

    request, as_json = asked
    return run_explain(request, as_json)
