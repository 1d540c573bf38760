"""One rank that trains several small runs one after another on fixed completions.

`RANK=… WORLD_SIZE=… python -m tests.opensloth_core.training.grpo.fixed_ranks TRAINER FOLDER RUN_DIR…`

The completions of a prompt depend on nothing but the prompt and their number, so runs on any number of
ranks learn from the same ones. TRAINER says whose GRPOTrainer is inside: `trl`, or `unsloth` for what
Unsloth puts in its place on GPUs. Writes `FOLDER/<name of the run>-rank-<rank>.pt`.
"""

import importlib
import os
import random
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

END = 2
MAX_COMPLETION = 12


def fixed_completion(prompt: Sequence[int], number: int) -> list[int]:
    """Completion `number` of a prompt: random bytes, mostly with the end token."""
    chance = random.Random(f"{list(prompt)} {number}")
    length = chance.randrange(1, MAX_COMPLETION)
    return [chance.randrange(60, 160) for _ in range(length)] + [END] * (chance.random() < 0.7)


def train(run_dir: Path, rank: int, world_size: int) -> dict[str, Any]:
    """What one run came to on this rank."""
    import torch

    from opensloth_core.errors import OpenSlothError
    from opensloth_core.runs.directory import RunDirectory
    from opensloth_core.store.prepared import open_prepared
    from opensloth_core.training.grpo.generate import Generated
    from opensloth_core.training.grpo.trainer import grpo_trainer
    from opensloth_core.training.job import RankJob
    from opensloth_core.training.metrics import StepEvents
    from opensloth_core.training.model import load_model

    run = RunDirectory(run_dir)
    config, launch = run.config(), run.launch()
    model, tokenizer = load_model(config, launch, "cpu")
    torch.manual_seed(7)
    with torch.no_grad():
        # An adapter that was trained before: a fresh one would leave half of the gradients at 0.
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.copy_(0.1 * torch.randn_like(weight))
    manifest = open_prepared(launch.prepared_key)
    job = RankJob(run, config, rank, world_size, "cpu", manifest, config.batch_plan(world_size))
    trainer = grpo_trainer(job, model, tokenizer, [])
    trainer.add_callback(StepEvents(job))
    prompts_of_steps: list[list[list[int]]] = []

    def generate(prompts: list[list[int]]) -> Generated:
        seen: Counter[tuple[int, ...]] = Counter()
        completions = []
        for prompt in prompts:
            completions.append(fixed_completion(prompt, seen[tuple(prompt)]))
            seen[tuple(prompt)] += 1
        prompts_of_steps.append([list(prompt) for prompt in seen])
        return Generated(completions)

    trainer.generate = generate
    seed, initial = torch.initial_seed(), _trained(model)
    error = ""
    try:
        trainer.train()
    except OpenSlothError as err:
        error = f"{type(err).__name__}: {err}"
    return {
        "seed": seed,
        "error": error,
        "initial": initial,
        "final": _trained(model),
        "classes": [base.__name__ for base in type(trainer).__mro__],
        "prompts": prompts_of_steps,
        "num_waiting": len(trainer._micro_batches),
        "extra_state": trainer.extra_state(),
    }


def _trained(model: Any) -> dict[str, Any]:
    return {name: w.detach().clone() for name, w in model.named_parameters() if w.requires_grad}


def main(trainer: str, folder: Path, run_dirs: list[Path]) -> None:
    rank, world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    import torch
    import unsloth  # noqa: F401  # before anything that imports transformers or trl

    if trainer == "unsloth":
        importlib.import_module("unsloth.models.rl")
    store = torch.distributed.FileStore(str(folder / f"rendezvous-{trainer}-{world_size}"), world_size)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=world_size)
    for run_dir in run_dirs:
        torch.save(train(run_dir, rank, world_size), folder / f"{run_dir.name}-rank-{rank}.pt")
    torch.distributed.barrier()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]])
