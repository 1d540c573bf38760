"""`os-sft`, `os-dpo` and `os-grpo`: train on data that `os-data` prepared, as the training commands would."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from flows.cli.command import Command, Program
from flows.cli.os_train import METHODS
from flows.cli.parser import UsageError
from flows.cli.request import FinetuneRequest, finetune_request
from opensloth_core.config.environment import variable

_EXAMPLES = {
    "sft": ("os-sft 3f2a --epochs 3", "os-sft my_prepared_data --lr 1e-4 --output my_adapter"),
    "dpo": ("os-dpo 3f2a --beta 0.1", "os-dpo my_prepared_data --model my_adapter"),
    "grpo": ("os-grpo 3f2a --reward math", "os-grpo my_prepared_data --num-generations 16"),
}


class _Script(Program):
    """A program that has one command, which is called by no word."""

    def called(self, command: Command) -> str:
        """The program's own name."""
        return self.name


def prepared_program(method: str) -> Program:
    """The program that trains with a method on prepared data."""
    name = f"os-{method}"
    trains = METHODS[method]
    command = replace(
        trains,
        name=name,
        summary=f"Train on prepared data: {trains.summary}",
        usage=f"{name} KEY|PATH [flags]",
        description=(
            f"Trains on data that os-data --method {method} prepared, as it is, whatever became of its"
            " sources. KEY|PATH is its key or how that begins, its folder, a copy's (--data-output), or a run"
            " that had it. Model and GPU count are those it was prepared for; a contradiction is an error."
        ),
        examples=_EXAMPLES[method],
        configure=_configure(method),
        hidden=(*trains.hidden, "data"),
        positional="prepared",
    )
    return _Script(name=name, purpose=command.description, commands={}, default=command)


def _configure(method: str) -> Callable[[Mapping[str, Any]], FinetuneRequest]:
    def configure(given: Mapping[str, Any]) -> FinetuneRequest:
        if not given.keys() & {"prepared", "resume", "config"} and variable("prepared") not in os.environ:
            raise UsageError("KEY|PATH: required; os-data prepares data and prints its key")
        return finetune_request(given, method)

    return configure


OS_SFT = prepared_program("sft")
OS_DPO = prepared_program("dpo")
OS_GRPO = prepared_program("grpo")
