"""`os-train demo`: the main job on the embedded model and the sample data, with answers before and after."""

import json
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

from flows.cli.finetune import run_finetune
from flows.cli.request import FinetuneRequest
from opensloth_core.config.builder import TrainingConfigBuilder
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import TrainingError
from opensloth_core.models.embedded import EMBEDDED, embedded_model_dir
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.store.home import home_dir

GLOBAL_BATCH_SIZE = 2
NEEDED = 12
"""Of 20 held-out questions, so many answered with the trained facts mean that it learned."""


def demo_config(gpus: int, output: Path | None) -> OpenSlothConfig:
    """Settings under which the embedded model learns the sample data in a few minutes on two CPU cores."""
    given: dict[str, Any] = {
        "data": str(resources.files("opensloth_core.demo") / "train.jsonl"),
        "model": EMBEDDED,
        "gpus": gpus,
        "max_seq_length": 256,
        "epochs": 3,
        "batch_size": GLOBAL_BATCH_SIZE // gpus,
        "learning_rate": 1e-3,
        "lr_scheduler": "linear",
        "weight_decay": 0.0,
        "lora_rank": 16,
        "lora_alpha": 32,
        "eval_generations": 0,  # it asks more questions itself
    }
    if output is not None:
        given["output"] = output
    return TrainingConfigBuilder().with_flags(given).build()


def run_demo(gpus: int, output: Path | None) -> int:
    """Fine-tune, then ask the held-out questions; 0 when it learned them."""
    return run_finetune(FinetuneRequest(demo_config(gpus, output)), afterwards=show_answers)


def show_answers(run: RunDirectory) -> int:
    """Ask the held-out questions in a fresh process and print the answers before and after."""
    print("\nAsking 20 held-out questions without and with the adapter, in a fresh process …\n", flush=True)
    answers = _answers(embedded_model_dir(home_dir()), run.adapter_dir)
    for answer in answers:
        mark = "✓" if answer["learned_after"] else "✗"
        print(f"Q  {answer['question']}")
        print(f"   before: {_one_line(answer['before'])}")
        print(f" {mark} after:  {_one_line(answer['after'])}\n")
    before = sum(answer["learned_before"] for answer in answers)
    after = sum(answer["learned_after"] for answer in answers)
    print(f"Answered with the trained facts: {before} of {len(answers)} before, {after} after.")
    return 0 if after >= NEEDED else 1


def _answers(model_dir: Path, adapter_dir: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "opensloth_core.demo.answers", str(model_dir), str(adapter_dir)]
    # Its log lines are of no use to whoever watches a demo, unless it fails.
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.stderr.write(done.stderr)
        raise TrainingError(f"the questions could not be asked: exit code {done.returncode}, see above")
    return [json.loads(line) for line in done.stdout.splitlines()]


def _one_line(text: str, limit: int = 100) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
