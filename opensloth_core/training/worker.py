"""The process of one rank: `python -m opensloth_core.training.worker RUN_DIR`.

Reads the run directory for what to do and torch's environment variables for which rank it is.
"""

import os
import shutil
import time
from pathlib import Path
from typing import Any

from opensloth_core.launch.child import leave, run_child
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.store.prepared import open_prepared, prepared_dir


def main(run_dir: Path) -> None:
    """Train this rank's part of a run and, on rank 0, save the result."""
    rank, world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    run = RunDirectory(run_dir)
    config, launch = run.config(), run.launch()
    on_cpu = launch.devices[rank] == "cpu"
    # CUDA_VISIBLE_DEVICES holds the run's devices only, one a rank, in order.
    device = "cpu" if on_cpu else f"cuda:{rank}"
    if rank == 0 and on_cpu:
        run.events.message(
            f"no GPU: training on the CPU, {world_size} process{'es over gloo' if world_size > 1 else ''}"
        )
    print(f"rank {rank} of {world_size} on {launch.devices[rank]}, process {os.getpid()}", flush=True)

    import numpy as np
    import torch
    import unsloth  # noqa: F401  # before anything that imports transformers or trl

    from opensloth_core.training.feed import open_units, rank_dataset
    from opensloth_core.training.metrics import StepEvents
    from opensloth_core.training.model import load_model
    from opensloth_core.training.plan import training_plan
    from opensloth_core.training.sft import sft_trainer

    if not on_cpu:
        torch.cuda.set_device(device)
    model, tokenizer = load_model(config, launch.model_dir, device)
    # For a single rank too: Accelerate, which sees LOCAL_RANK, would look for a port to meet at.
    backend = "gloo" if on_cpu else "nccl"
    store = torch.distributed.FileStore(str(run.rendezvous_path), world_size)
    torch.distributed.init_process_group(backend, store=store, rank=rank, world_size=world_size)

    manifest = open_prepared(launch.prepared_key)
    folder = prepared_dir(manifest.key)
    packs = open_units(folder).with_format("numpy")[:]
    batch = config.batch_plan(world_size)
    training = config.training
    plan = training_plan(
        packs["num_tokens"], packs["num_trained"], batch, training.epochs, training.max_steps, config.seed
    )
    tokens = np.append(packs["num_tokens"], 0)
    events = StepEvents(
        run.events, rank, tokens[plan.packs_SWAB[:, rank]].sum(axis=(1, 2)), plan.trained_tokens_S
    )
    dataset = rank_dataset(folder, manifest.shards, plan.slots_of(rank))
    trainer = sft_trainer(config, model, tokenizer, dataset, plan, batch, device, run.trainer_dir, events)
    if rank == 0:
        run.events.state("training")
    begun = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - begun
    if rank == 0:
        run.events.state("saving")
        save_adapter(trainer.model, tokenizer, run.adapter_dir)
        run.events.write(
            "result",
            adapter_dir=str(run.adapter_dir),
            steps=plan.num_steps,
            seconds=seconds,
            final_loss=trainer.state.log_history[-2]["loss"],
            tokens_per_second=float(tokens[plan.packs_SWAB].sum() / seconds),
        )
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    leave()


def save_adapter(model: Any, tokenizer: Any, target: Path) -> None:
    """Save weights and tokenizer beside `target`, then rename them into place."""
    staging = target.with_name(target.name + ".partial")
    shutil.rmtree(staging, ignore_errors=True)
    model.save_pretrained(staging)
    tokenizer.save_pretrained(staging)
    staging.rename(target)


if __name__ == "__main__":
    run_child(main)
