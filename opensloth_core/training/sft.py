"""Supervised fine-tuning of one rank: TRL's SFTTrainer on ready packs."""

from typing import Any

import torch

from opensloth_core.training.arguments import shared_arguments
from opensloth_core.training.collate import assert_examples_kept_apart, example_rows
from opensloth_core.training.job import RankJob
from opensloth_core.training.planned import PlannedTrainer


def sft_trainer(job: RankJob, model: Any, tokenizer: Any, callbacks: list[Any]) -> Any:
    """The trainer of one rank, ready for `train()`."""
    import unsloth  # noqa: F401  # patches TRL, so it comes first
    from trl import SFTConfig, SFTTrainer

    dataset = job.dataset()
    # Unsloth switches padding-free off for ready tokens unless their producer says how long they are.
    dataset._unsloth_truncated_to = job.config.max_seq_length

    class PlannedSFTTrainer(PlannedTrainer, SFTTrainer):
        """Runs packs, flat or taken apart into rows."""

        def collate(self, rows: list[dict[str, Any]]) -> Any:
            return super().collate(rows) if self.is_flat() else example_rows(rows)

        def is_flat(self) -> bool:
            return bool(getattr(self.data_collator, "padding_free", False))

        def get_batch_samples(self, *args: Any, **kwargs: Any) -> tuple[list[Any], torch.Tensor]:
            batches, num_trained = super().get_batch_samples(*args, **kwargs)
            for batch in batches:
                assert_examples_kept_apart(batch, self.is_flat())
            return batches, num_trained

    PlannedSFTTrainer.job = job
    trainer = PlannedSFTTrainer(
        model=model,
        args=SFTConfig(
            **shared_arguments(job),
            padding_free=True,
            packing=False,
            max_length=None,
            dataset_kwargs={"skip_prepare_dataset": True},
        ),
        train_dataset=dataset,
        processing_class=tokenizer,
        callbacks=callbacks,
    )
    layout = "one flat row of packs" if trainer.is_flat() else "one padded row an example"
    print(f"micro-batches are {layout}", flush=True)
    return trainer
