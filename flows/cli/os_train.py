"""`os-train` and its commands."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveInt

from flows.cli.cache.program import cache_program
from flows.cli.chat.program import CHAT
from flows.cli.command import Command, Program
from flows.cli.completion.program import COMPLETION
from flows.cli.doctor import DOCTOR
from flows.cli.export.program import EXPORT
from flows.cli.models.program import MODELS
from flows.cli.plan.program import plan_program
from flows.cli.presets.program import PRESETS_PROGRAM
from flows.cli.request import FinetuneRequest, RunSettings, finetune_request
from flows.cli.runs.program import REPRO, RUNS
from flows.cli.schema import SCHEMA
from flows.cli.server.program import SERVER
from flows.cli.shown import SHOWN_FLAGS
from opensloth_core.config.base import Settings
from opensloth_core.config.opensloth import OpenSlothConfig


class DemoSettings(Settings):
    """What may be chosen for the demo."""

    gpus: int = Field(default=1, ge=1, le=2)
    """Processes to train on, 1 or 2: one per GPU, or on the CPU where there is none."""

    output: Path | None = None
    """Also copy the trained adapter to this new or empty folder; the run directory keeps the original."""


class SelftestSettings(Settings):
    """What is compared."""

    gpus: PositiveInt | None = None
    """How many GPUs to compare with one; all when not given, and two processes where there is no GPU."""

    method: Literal["sft", "dpo", "all"] = "all"
    """Which training methods to check."""

    json_report: bool = False
    """Print JSON, with every step."""


def _configure(method: str) -> Callable[[Mapping[str, Any]], FinetuneRequest]:
    return lambda given: finetune_request(given, method)


def _finetune(request: FinetuneRequest) -> int:
    if request.plan is not None:
        from flows.cli.plan.show import run_plan

        return run_plan(request)
    from flows.cli.finetune import run_finetune

    return run_finetune(request)


def _demo(settings: DemoSettings) -> int:
    from flows.cli.demo import run_demo

    return run_demo(settings.gpus, settings.output)


def _selftest(settings: SelftestSettings) -> int:
    from flows.cli.selftest import run_selftest

    return run_selftest(
        settings.gpus,
        ("sft", "dpo") if settings.method == "all" else (settings.method,),
        settings.json_report,
    )


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
    extra=RunSettings,
    also=SHOWN_FLAGS,
    configure=_configure("sft"),
    run=_finetune,
    hidden=("method", "dpo", "grpo"),
)

DPO = Command(
    name="dpo",
    summary="Preference tuning: prefer the chosen answers to the rejected ones.",
    usage="os-train dpo DATA … --model MODEL [flags]",
    description=(
        "Trains on pairs of a chosen and a rejected answer to the same prompt, held to the model as given:"
        " where --model is an adapter, to the model with it."
    ),
    examples=(
        "os-train dpo pairs.jsonl --model embedded --max-steps 20",
        "os-train dpo pairs.jsonl -m my_adapter --gpus 2 --beta 0.1 --lr 5e-6",
    ),
    settings=OpenSlothConfig,
    extra=RunSettings,
    also=SHOWN_FLAGS,
    configure=_configure("dpo"),
    run=_finetune,
    hidden=("method", "grpo", "train_on"),
)

GRPO = Command(
    name="grpo",
    summary="Reinforcement learning: try several answers and reinforce what rewards score highly.",
    usage="os-train grpo DATA … --model MODEL [flags]",
    description=(
        "Samples completions of each prompt, scores them with the rewards, and makes the better ones of a"
        " prompt likelier. Columns of the data, such as the right answer, are what rewards compare with."
    ),
    examples=(
        "os-train grpo questions.jsonl --model embedded --reward math",
        "os-train grpo gsm8k.jsonl -m my_adapter --reward math --reward format=0.2 \\\n"
        "      --gpus 2 --num-generations 16",
    ),
    settings=OpenSlothConfig,
    extra=RunSettings,
    also=SHOWN_FLAGS,
    configure=_configure("grpo"),
    run=_finetune,
    hidden=("method", "dpo", "train_on"),
    metavars={"batch_size": "N"},  # "auto" is for the other methods
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

SELFTEST = Command(
    name="selftest",
    summary="Prove that several GPUs train what one does, on this machine.",
    usage="os-train selftest [flags]",
    description=(
        "Trains a tiny model on generated data on one GPU, on all of them, and with accumulation, and"
        " compares losses, gradient norms and final weights. Needs no network and leaves nothing behind;"
        " takes up to a minute a run. On a machine without a GPU it compares CPU processes."
    ),
    examples=("os-train selftest", "os-train selftest --gpus 2 --method sft --json"),
    settings=SelftestSettings,
    configure=SelftestSettings.of,
    run=_selftest,
    also={"json_report": ("--json",)},
)

METHODS = {"sft": SFT, "dpo": DPO, "grpo": GRPO}
OS_TRAIN = Program(
    name="os-train",
    purpose=(
        "Fine-tune a language model on your own data: one command from raw rows to a"
        " trained adapter, on every GPU of this machine."
    ),
    commands={
        **METHODS,
        "repro": REPRO,
        "chat": CHAT,
        "export": EXPORT,
        "demo": DEMO,
        "selftest": SELFTEST,
        "doctor": DOCTOR,
        "schema": SCHEMA,
        "completion": COMPLETION,
    },
    groups={
        "plan": plan_program(METHODS),
        "runs": RUNS,
        "models": MODELS,
        "server": SERVER,
        "presets": PRESETS_PROGRAM,
        "cache": cache_program(METHODS),
    },
)
