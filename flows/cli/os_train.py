"""`os-train` and its commands."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from flows.cli.command import Command, Program
from flows.cli.main import main
from flows.cli.settings import training_config
from opensloth_core.config.base import Settings
from opensloth_core.config.opensloth import OpenSlothConfig


class DemoSettings(Settings):
    """What may be chosen for the demo."""

    gpus: int = Field(default=1, ge=1, le=2)
    """Processes to train on, 1 or 2: one per GPU, or on the CPU where there is none."""

    output: Path | None = None
    """Also copy the trained adapter to this new or empty folder; the run directory keeps the original."""


def _sft_config(given: Mapping[str, Any]) -> OpenSlothConfig:
    return training_config(given, method="sft")


def _finetune(config: OpenSlothConfig) -> int:
    from flows.cli.finetune import run_finetune

    return run_finetune(config)


def _demo(settings: DemoSettings) -> int:
    from flows.cli.demo import run_demo

    return run_demo(settings.gpus, settings.output)


SFT = Command(
    name="sft",
    summary="Supervised fine-tuning: learn to answer as the examples do.",
    usage="os-train sft DATA … --model MODEL [flags]",
    description=(
        "Fine-tunes a model on examples of conversations or of questions and answers. The data is"
        " prepared first; a run whose prepared data exists already reuses it."
    ),
    examples=(
        "os-train sft my_data.jsonl --model embedded --max-steps 20",
        "os-train sft my_data.jsonl -m unsloth/gemma-3-4b-it --gpus 2 --epochs 3",
        "os-train sft a.jsonl b.parquet -m unsloth/gemma-3-4b-it -g 0,3 -b 4 \\\n"
        "      --lr 1e-4 --samples 1000 --output my_adapter",
    ),
    settings=OpenSlothConfig,
    configure=_sft_config,
    run=_finetune,
    hidden=("method",),
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
OS_TRAIN = Program(
    name="os-train",
    purpose=(
        "Fine-tune a language model on your own data: one command from raw rows to a"
        " trained adapter, on every GPU of this machine."
    ),
    commands={**METHODS, "demo": DEMO},
    planned=("dpo", "grpo"),
)


def entry() -> None:
    """The console script."""
    sys.exit(main(OS_TRAIN))
