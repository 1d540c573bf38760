"""Supervised fine-tuning of one rank: TRL's SFTTrainer on ready packs."""

from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from opensloth_core.config.batch import BatchPlan
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.training.collate import assert_examples_kept_apart, example_rows
from opensloth_core.training.model import resolve_dtype, use_gradient_checkpointing
from opensloth_core.training.plan import TrainingPlan


def sft_trainer(
    config: OpenSlothConfig,
    model: Any,
    tokenizer: Any,
    dataset: Any,
    plan: TrainingPlan,
    batch: BatchPlan,
    device: str,
    output_dir: Path,
    callback: Any,
) -> Any:
    """The trainer of one rank, ready for `train()`.

    Args:
        dataset: the rank's packs in training order, as `rank_dataset` gives them.
        plan: the run's plan, whose trained tokens of a step normalise its loss.
        device: torch device of this rank.
        output_dir: where the trainer may write.
        callback: a `transformers.TrainerCallback` that receives the metrics.
    """
    import unsloth  # noqa: F401  # patches TRL, so it comes first
    from transformers import PrinterCallback
    from trl import SFTTrainer

    # Unsloth switches padding-free off for ready tokens unless their producer says how long they are.
    dataset._unsloth_truncated_to = config.max_seq_length

    class PlannedSFTTrainer(SFTTrainer):
        """Runs the plan's packs in the plan's order; nothing shuffles or shards them again."""

        def get_train_dataloader(self) -> DataLoader[Any]:
            return DataLoader(
                self.train_dataset,
                batch_size=batch.batch_size,
                shuffle=False,
                collate_fn=self.data_collator if self._is_flat() else example_rows,
                pin_memory=device != "cpu",
            )

        def _is_flat(self) -> bool:
            return bool(getattr(self.data_collator, "padding_free", False))

        def get_batch_samples(
            self, epoch_iterator: Any, num_batches: int, device: Any = None, *_: Any
        ) -> tuple[list[Any], torch.Tensor]:
            """One step's micro-batches, and the trained tokens of the step over all ranks.

            The count comes from the plan, so no rank has to ask the others for theirs.
            """
            batches = [next(epoch_iterator) for _ in range(num_batches)]
            for samples in batches:
                assert_examples_kept_apart(samples, self._is_flat())
            return batches, torch.tensor(plan.trained_tokens_S[self.state.global_step], device=device)

    trainer = PlannedSFTTrainer(
        model=model,
        args=_arguments(config, plan, batch, device, output_dir),
        train_dataset=dataset,
        processing_class=tokenizer,
        callbacks=[callback],
    )
    trainer.remove_callback(PrinterCallback)
    layout = "one flat row of packs" if trainer._is_flat() else "one padded row an example"
    print(f"micro-batches are {layout}", flush=True)
    return trainer


def _arguments(
    config: OpenSlothConfig, plan: TrainingPlan, batch: BatchPlan, device: str, output_dir: Path
) -> Any:
    from trl import SFTConfig

    training, on_gpu = config.training, device != "cpu"
    dtype = resolve_dtype(config, device)
    return SFTConfig(
        output_dir=str(output_dir),
        # Every batch number is explicit: Unsloth changes the trainers' defaults.
        per_device_train_batch_size=batch.batch_size,
        gradient_accumulation_steps=batch.gradient_accumulation_steps,
        max_steps=plan.num_steps,
        learning_rate=training.learning_rate,
        lr_scheduler_type=training.lr_scheduler,
        warmup_steps=round(training.warmup_ratio * plan.num_steps),
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        optim=training.optimizer,
        bf16=on_gpu and dtype == torch.bfloat16,
        fp16=on_gpu and dtype == torch.float16,
        gradient_checkpointing=use_gradient_checkpointing(config, device),
        padding_free=True,
        packing=False,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        average_tokens_across_devices=True,
        ddp_find_unused_parameters=False,
        ddp_backend=("nccl" if on_gpu else "gloo") if batch.world_size > 1 else None,
        use_cpu=not on_gpu,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=config.seed,
    )
