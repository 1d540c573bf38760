"""Training speed, measured beside plain Unsloth and TRL in one run, on one GPU and on all there are.

    uv run python -m tests.benchmarks.training                    # a 1.1B Llama of random weights
    uv run python -m tests.benchmarks.training --shape tiny       # to try the benchmark, also without a GPU

LoRA of rank 16, packs of 2048 tokens. The columns:

    tokens/s   of all GPUs together, over the steps after the first ten
    of ceiling tokens/s over those of the ceiling: a matrix product measured here, over 4 N FLOP a token
    x plain    tokens/s over those of Unsloth + SFTTrainer with packing=True and a batch of 4
    step s     median
    wait       share of the step that waits for data
    GiB        peak of the GPU's memory, the fullest rank
"""

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opensloth_core import run_prepare_data, run_training
from opensloth_core.launch.devices import visible_gpus
from opensloth_core.models.embedded import embedded_model_dir
from opensloth_core.runs.events import read_events
from opensloth_core.store.home import home_dir
from tests.benchmarks.ceiling import measure_ceiling
from tests.benchmarks.plain_training import WARM_UP, measure_plain
from tests.benchmarks.random_llama import SHAPES, build, flop_per_token
from tests.benchmarks.rows import write_rows
from tests.benchmarks.table import Table

PLAIN = "Unsloth + SFTTrainer, packing=True, batch 4"


@dataclass(frozen=True)
class Speed:
    """What one run came to."""

    tokens_per_second: float
    step_seconds: float
    memory_bytes: int
    loss: float
    wait: float | None = None


def main() -> None:
    """Measure and print one table."""
    args = _arguments()
    with tempfile.TemporaryDirectory(prefix="opensloth-benchmark-", dir=args.scratch) as folder:
        scratch = Path(folder)
        model_dir, data = scratch / "model", scratch / "rows.jsonl"
        build(model_dir, args.tokenizer or embedded_model_dir(home_dir(), say=print), args.shape)
        write_rows(data, args.rows) if args.data is None else data.write_bytes(args.data.read_bytes())
        ceiling = measure_ceiling()
        limit = ceiling / flop_per_token(model_dir)
        print(f"ceiling {ceiling / 1e12:.1f} TFLOP/s, {limit:,.0f} tokens/s on a device", flush=True)
        table = Table(["run", "tokens/s", "of ceiling", "x plain", "step s", "wait", "GiB", "last loss"])
        plain: float | None = None
        for name, num_devices, speed in _runs(args, data, model_dir):
            plain = plain or speed.tokens_per_second
            table.add(
                name,
                f"{speed.tokens_per_second:,.0f}",
                f"{speed.tokens_per_second / limit / num_devices:.3f}",
                f"{speed.tokens_per_second / plain:.2f}",
                f"{speed.step_seconds:.3f}",
                "" if speed.wait is None else f"{speed.wait:.1%}",
                f"{speed.memory_bytes / 2**30:.2f}",
                f"{speed.loss:.3f}",
            )
            print(f"{name}: {speed.tokens_per_second:,.0f} tokens/s", flush=True)
        print(f"\n{table}")


def _runs(args: argparse.Namespace, data: Path, model_dir: Path) -> Iterator[tuple[str, int, Speed]]:
    length = args.max_seq_length
    asked = {"batch_size": 4, "max_seq_length": length, "steps": args.steps}
    yield PLAIN, 1, Speed(**measure_plain(data, model_dir, None, asked))
    settings = {
        "data": str(data),
        "model": str(model_dir),
        "max_seq_length": length,
        "max_steps": args.steps,
        "save_steps": 0,
        "eval_generations": 0,
        "warmup_ratio": 0.0,
    }
    prepared = run_prepare_data(
        {"data": str(data), "model": str(model_dir), "gpus": 1, "max_seq_length": length}
    )
    packs = prepared.folder / prepared.manifest.shards[0]
    yield (
        "the same trainer, our packs and attention",
        1,
        Speed(**measure_plain(data, model_dir, packs, asked)),
    )
    like_plain = {"batch_size": 4, "gradient_checkpointing": bool(visible_gpus())}
    yield "OpenSloth, batch 4, as the two above", 1, _ours({**settings, "gpus": 1, **like_plain})
    yield "OpenSloth, default settings", 1, _ours({**settings, "gpus": 1})
    num_gpus = len(visible_gpus()) or args.ranks
    if num_gpus > 1:
        yield (
            f"OpenSloth, default settings, {num_gpus} ranks",
            num_gpus,
            _ours({**settings, "gpus": num_gpus}),
        )


def _ours(settings: dict[str, Any]) -> Speed:
    """One run of OpenSloth, from its event log."""
    run_dir = run_training(settings).run_dir
    steps = [event for event in read_events(run_dir / "events.jsonl") if event["kind"] == "step"]
    first = min(WARM_UP, settings["max_steps"] // 2)
    counted = [event for event in steps if event["step"] > first]
    own = [event for event in counted if event["rank"] == 0]
    seconds = sum(event["step_seconds"] for event in own)
    return Speed(
        tokens_per_second=sum(event["tokens"] for event in counted) / seconds,
        step_seconds=statistics.median(event["step_seconds"] for event in own),
        memory_bytes=max(event["memory_bytes"] for event in counted),
        loss=own[-1]["loss"],
        wait=sum(event["data_wait_seconds"] for event in own) / seconds,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--shape", choices=list(SHAPES), default="1b", help="the model's shape")
    add("--rows", type=int, default=8000, help="rows to train on")
    add("--data", type=Path, help="JSONL with messages, instead of rows made from ../shared/data")
    add("--tokenizer", type=Path, help="folder of a tokenizer, instead of the embedded model's")
    add("--steps", type=int, default=40, help="optimizer steps of each run")
    add("--max-seq-length", type=int, default=2048, help="tokens of a pack")
    add("--ranks", type=int, default=1, help="ranks of the last run where there is no GPU")
    add("--scratch", type=Path, help="where the temporary folder is made")
    return parser.parse_args()


if __name__ == "__main__":
    main()
