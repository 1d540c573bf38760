"""Settings that all of TRL's trainers share."""

from typing import Any

import torch

from opensloth_core.config.training import TrainingArguments
from opensloth_core.training.job import RankJob
from opensloth_core.training.model import resolve_dtype, use_gradient_checkpointing


def shared_arguments(job: RankJob) -> dict[str, Any]:
    """Keyword arguments of an `SFTConfig`, `DPOConfig` or `GRPOConfig`."""
    config, training = job.config, job.config.training
    dtype = resolve_dtype(config, job.device)
    return {
        "output_dir": str(job.run.trainer_dir),
        # Every batch number is explicit: Unsloth changes the trainers' defaults.
        "per_device_train_batch_size": job.batch.batch_size,
        "gradient_accumulation_steps": job.batch.gradient_accumulation_steps,
        "max_steps": job.plan.num_steps,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": schedule(training),
        "warmup_steps": round(training.warmup_ratio * job.plan.num_steps),
        "weight_decay": training.weight_decay,
        "max_grad_norm": training.max_grad_norm,
        "optim": training.optimizer,
        "bf16": job.on_gpu and dtype == torch.bfloat16,
        "fp16": job.on_gpu and dtype == torch.float16,
        "gradient_checkpointing": use_gradient_checkpointing(config, job.device),
        "remove_unused_columns": False,
        "average_tokens_across_devices": True,
        "ddp_find_unused_parameters": False,
        "ddp_backend": ("nccl" if job.on_gpu else "gloo") if job.world_size > 1 else None,
        "use_cpu": not job.on_gpu,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps" if training.save_steps else "no",
        "save_steps": training.save_steps or 1,  # 0 is refused, and has no effect where none are saved
        "report_to": list(training.report_to),
        "disable_tqdm": True,
        "seed": config.seed,
    }


def schedule(training: TrainingArguments) -> str:
    """Name of the learning rate's schedule; transformers' "constant" is one that never warms up."""
    warms_up = training.lr_scheduler == "constant" and training.warmup_ratio > 0
    return "constant_with_warmup" if warms_up else training.lr_scheduler
