"""The process of one rank: `python -m opensloth_core.training.worker RUN_DIR`.

Reads the run directory for what to do and torch's environment variables for which rank it is. It starts
beside the preparation of the data: imports and loads the model first, and meets the other ranks only
once the data is ready, so that no timer of a process group runs meanwhile.
"""

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from opensloth_core.launch.child import leave, run_child
from opensloth_core.launch.gc_pause import gc_paused
from opensloth_core.launch.stacks import write_stacks_on_request
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import read_events
from opensloth_core.runs.stages import enter_stage
from opensloth_core.runs.statistics import training_speed
from opensloth_core.store.prepared import open_prepared

LONGEST_WAIT = timedelta(days=7)
"""In a collective operation. That ranks stand still is for the watchdog to say, which knows who."""


def main(run_dir: Path) -> None:
    """Train this rank's part of a run and, on rank 0, save the result."""
    rank, world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    run = RunDirectory(run_dir)
    config, launch = run.config(), run.launch()
    on_cpu = launch.devices[rank] == "cpu"
    # CUDA_VISIBLE_DEVICES holds the run's devices only, one a rank, in order.
    device = "cpu" if on_cpu else f"cuda:{rank}"
    write_stacks_on_request()
    run.events.mark("started", rank, pid=os.getpid())
    if rank == 0 and on_cpu:
        run.events.message(
            f"no GPU: training on the CPU, {world_size} process{'es over gloo' if world_size > 1 else ''}"
        )
    print(f"rank {rank} of {world_size} on {launch.devices[rank]}, process {os.getpid()}", flush=True)

    with gc_paused():
        import torch
        import unsloth  # noqa: F401  # before anything that imports transformers or trl

        from opensloth_core.training.evaluation.callback import EvaluationCallback
        from opensloth_core.training.guard.finite import check_weights
        from opensloth_core.training.guard.memory import MemoryGuard
        from opensloth_core.training.job import RankJob
        from opensloth_core.training.metrics import StepEvents
        from opensloth_core.training.micro_batch import measure
        from opensloth_core.training.model import load_model
        from opensloth_core.training.pulse import write_pulses
        from opensloth_core.training.save import save_result
        from opensloth_core.training.trainers import TRAINERS
        from opensloth_core.training.versions import versions

    run.events.mark("imported", rank)
    if not on_cpu:
        torch.cuda.set_device(device)
    memory = MemoryGuard(config, rank, world_size, device)
    with memory:
        model, tokenizer = load_model(config, launch, device)
    write_pulses(model, run, rank, config.stall_timeout_seconds)
    run.events.mark("loaded", rank)
    manifest = open_prepared(run.wait_until_prepared())
    run.events.mark("data", rank)
    # For a single rank too: Accelerate, which sees LOCAL_RANK, would look for a port to meet at.
    store = torch.distributed.FileStore(str(run.rendezvous_path), world_size)
    store.set_timeout(LONGEST_WAIT)
    torch.distributed.init_process_group(
        "gloo" if on_cpu else "nccl", timeout=LONGEST_WAIT, store=store, rank=rank, world_size=world_size
    )
    run.events.mark("joined", rank)

    job = RankJob(run, config, rank, world_size, device, manifest, config.batch_plan(world_size))
    with memory:
        trainer = TRAINERS[config.method](job, model, tokenizer, [])
    memory.watch(trainer)
    if launch.checkpoint is not None:
        trainer.resume_from(run.checkpoints_dir / launch.checkpoint)
    measures_batch = config.measures_batch(job.on_gpu)
    if measures_batch or config.measures_checkpointing(job.on_gpu):
        measured = measure(trainer, job, trainer.batch_of_checkpoint() if measures_batch else job.batch)
        job = replace(job, batch=measured.batch)
        trainer.take_over(job)
        if rank == 0:
            run.events.message(measured.title)
    if rank == 0:
        run.events.write(
            "batch",
            batch_size=job.batch.batch_size,
            gradient_accumulation_steps=job.batch.gradient_accumulation_steps,
            gradient_checkpointing=bool(trainer.args.gradient_checkpointing),
        )
    trainer.add_callback(StepEvents(job))
    evaluation = EvaluationCallback(job, trainer, tokenizer)
    trainer.add_callback(evaluation)
    run.events.mark("ready", rank)
    if rank == 0:
        run.events.write("versions", **versions())
        run.events.state("training")
    with memory:
        trainer.train()
    run.events.mark("trained", rank)
    if rank == 0:
        enter_stage(run, "saving")
        check_weights(trainer.model)
        save_result(trainer.model, job)
        speed, seconds = training_speed(read_events(run.events_path))
        run.events.write(
            "result",
            adapter_dir=str(run.adapter_dir),
            steps=job.plan.num_steps,
            seconds=seconds,
            final_loss=trainer.state.log_history[-2]["loss"],
            tokens_per_second=speed,
        )
    run.events.mark("saved", rank)
    evaluation.finish()
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    leave()


if __name__ == "__main__":
    run_child(main)
