"""The commands of `os-train`, one entry each: what help says and what runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from flows.cli.settings import training_config
from opensloth_core.config.base import Settings
from opensloth_core.config.opensloth import OpenSlothConfig


class DemoSettings(Settings):
    """What may be chosen for the demo."""

    gpus: int = Field(default=1, ge=1, le=2)
    """Processes to train on, 1 or 2: one per GPU, or on the CPU where there is none."""

    output: Path | None = None
    """Also copy the trained adapter to this new or empty folder; the run directory keeps the original."""


@dataclass(frozen=True)
class Command:
    """One subcommand."""

    name: str
    summary: str
    """One sentence for the overview."""

    usage: str
    description: str
    examples: tuple[str, ...]
    settings: type[Settings]
    """The model its flags are generated from."""

    configure: Callable[[Mapping[str, Any]], Any]
    """From the given flags to what `run` takes."""

    run: Callable[[Any], int]
    """Does the work and returns the exit code; imports what it needs only then."""


def _sft_config(given: Mapping[str, Any]) -> OpenSlothConfig:
    return training_config(given, method="sft")


def _finetune(config: OpenSlothConfig) -> int:
    from flows.cli.run import run_finetune

    return run_finetune(config)


def _demo(settings: DemoSettings) -> int:
    from flows.cli.demo import run_demo

    return run_demo(settings.gpus, settings.output)


SFT = Command(
    name="sft",
    summary="Supervised fine-tuning: learn to answer as the examples do.",
    usage="os-train sft DATA --model MODEL [flags]",
    description=(
        "Fine-tunes a model on examples of conversations or of questions and answers. The data is"
        " prepared first; a run whose prepared data exists already reuses it."
    ),
    examples=(
        "os-train sft my_data.jsonl --model embedded --max-steps 20",
        "os-train sft my_data.jsonl -m unsloth/gemma-3-4b-it --gpus 2 --epochs 3",
        "os-train sft my_data.jsonl -m unsloth/gemma-3-4b-it -g 0,3 -b 4 --lr 1e-4 \\\n"
        "      --samples 1000 --output my_adapter",
    ),
    settings=OpenSlothConfig,
    configure=_sft_config,
    run=_finetune,
)

DEMO = Command(
    name="demo",
    summary="See it work: teach a small built-in model who it is, on any machine.",
    usage="os-train demo [flags]",
    description=(
        "Fine-tunes SmolLM2-135M-Instruct on a small sample data set about who the assistant is,"
        " and shows its answers before and after. Takes a few minutes on a CPU, needs no network."
    ),
    examples=("os-train demo", "os-train demo --gpus 2 --output my_first_adapter"),
    settings=DemoSettings,
    configure=DemoSettings.of,
    run=_demo,
)

METHODS = {"sft": SFT}
COMMANDS = {**METHODS, "demo": DEMO}
PLANNED_METHODS = ("dpo", "grpo")
