"""The process that measures adapters of one model on held-out rows, on one device, one after another.

    python -m opensloth_core.training.evaluation.compare_worker FOLDER

All are loaded from what was saved and measured in the same way, so that what differs is what was learnt.
Preferences are measured against the model without any adapter, whatever each was trained against.
"""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import DataError, TrainingError
from opensloth_core.launch.child import leave, run_child
from opensloth_core.launch.gc_pause import gc_paused
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.store.prepared import open_prepared, prepared_dir
from opensloth_core.training.evaluation.comparison import Comparison, write_scores


def main(folder: Path) -> None:
    """Measure what `folder` asks for."""
    comparison = Comparison.read(folder)
    config = settings_to_evaluate(RunDirectory(Path(comparison.run_dir)).config())
    on_cpu = comparison.device == "cpu"

    with gc_paused():
        import torch
        import unsloth  # noqa: F401  # before anything that imports transformers or trl

    rendezvous = folder / "rendezvous"
    rendezvous.unlink(missing_ok=True)
    store = torch.distributed.FileStore(str(rendezvous), 1)
    torch.distributed.init_process_group("gloo" if on_cpu else "nccl", store=store, rank=0, world_size=1)
    if not on_cpu:
        torch.cuda.set_device(0)  # the only one that is visible
    scores = {}
    for name, adapter_dir in comparison.adapters.items():
        scores[name] = _measured(comparison, config, adapter_dir)
        print(f"{name}: {scores[name]}", flush=True)
    write_scores(folder, scores)
    leave()


def settings_to_evaluate(config: OpenSlothConfig) -> OpenSlothConfig:
    """The run's configuration, for a model that takes no step."""
    update = {
        "batch_size": 1,
        # A step takes whole groups of completions.
        "gradient_accumulation_steps": config.grpo.num_generations if config.method == "grpo" else 1,
        "global_batch_size": None,
        "max_steps": 1,
        "save_steps": 0,
        "report_to": ("none",),
        "gradient_checkpointing": False,
    }
    return config.model_copy(update={"training": config.training.model_copy(update=update)})


def _measured(
    comparison: Comparison, config: OpenSlothConfig, adapter_dir: str | None
) -> dict[str, dict[str, float]]:
    """Metrics of one adapter by the set of rows."""
    from opensloth_core.training.device_memory import DeviceMemory
    from opensloth_core.training.evaluation.evaluator import Evaluator
    from opensloth_core.training.evaluation.held_out import open_held_out
    from opensloth_core.training.evaluation.measures import measure_of
    from opensloth_core.training.job import RankJob
    from opensloth_core.training.model import load_model

    run = RunDirectory(Path(comparison.run_dir))
    device = "cpu" if comparison.device == "cpu" else "cuda:0"
    launch = replace(run.launch(), adapter_dir=adapter_dir, devices=(device,), checkpoint=None)
    model, tokenizer = load_model(config, launch, device)
    manifest = open_prepared(run.launch().prepared_key)
    job = RankJob(run, config, 0, 1, device, manifest, config.batch_plan(1))
    trainer = _trainer(job, model, tokenizer)
    measure = measure_of(job, trainer, tokenizer)
    found = {}
    for rows, key in comparison.prepared_keys.items():
        units = open_held_out(prepared_dir(key), measure.max_units, config.seed)
        if units is None:
            raise DataError(f"prepared data {key}: no rows are held out; give an eval_size")
        evaluator = Evaluator(measure, units, 0, 1, device)
        evaluation = evaluator.evaluate(trainer.model, comparison.batch_size) or evaluator.evaluate(
            trainer.model, 1
        )
        if evaluation is None:
            raise TrainingError(
                f"memory ran out while comparing models on {device}; give the run more of it, or a smaller "
                "max_seq_length"
            )
        found[rows] = evaluation.metrics
    del model, trainer, measure
    DeviceMemory(device, 1).release()
    return found


def _trainer(job: Any, model: Any, tokenizer: Any) -> Any:
    """What measures need of a trainer: how it lays rows out, and how it runs the model."""
    from opensloth_core.training.dpo import REFERENCE_ADAPTER
    from opensloth_core.training.trainers import TRAINERS

    if job.config.method == "grpo":
        return SimpleNamespace(model=model)
    trainer = TRAINERS[job.config.method](job, model, tokenizer, [])
    if REFERENCE_ADAPTER in getattr(model, "peft_config", {}):
        model.delete_adapter(REFERENCE_ADAPTER)
    return trainer


if __name__ == "__main__":
    run_child(main)
