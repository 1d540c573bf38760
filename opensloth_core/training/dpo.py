"""Direct preference optimization of one rank: TRL's DPOTrainer on ready pairs.

    loss of a pair = -log sigmoid(beta * (log p(chosen) / p_ref(chosen) - log p(rejected) / p_ref(rejected)))

(loss_type sigmoid), where p is the probability of the answer's tokens, its end token among them, given the
prompt. A step's loss is the mean over the step's pairs: TRL takes the mean of a micro-batch, and all
micro-batches have equally many pairs.

The reference policy is the model as given:

* a new adapter: the model with its adapters switched off, which costs no memory;
* an adapter that goes on from a trained one: a frozen copy of that adapter beside it, made by TRL, named
  `REFERENCE_ADAPTER`;
* all weights: a frozen copy of the model.

The copies are made with the trainer, before a resumed run puts its trained weights into the model.

Source: Rafailov et al. 2023, arXiv:2305.18290, equation 7.
"""

import copy
from typing import Any

import torch

from opensloth_core.checks.dpo import refuse_settings_without_effect
from opensloth_core.data.units import IGNORE_INDEX
from opensloth_core.training.arguments import shared_arguments
from opensloth_core.training.autocast_forward import has_mixed_weights, run_in_autocast
from opensloth_core.training.job import RankJob
from opensloth_core.training.planned import PlannedTrainer
from opensloth_core.training.unpadded import leave_padding_out, padding_title

REFERENCE_ADAPTER = "ref"
"""TRL's name for the frozen copy of an adapter."""


def dpo_trainer(job: RankJob, model: Any, tokenizer: Any, callbacks: list[Any]) -> Any:
    """The trainer of one rank, ready for `train()`.

    Raises:
        ConfigError: a setting that DPO has no use for.
    """
    import unsloth  # noqa: F401  # patches TRL, so it comes first
    from peft import PeftModel
    from trl import DPOConfig, DPOTrainer
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    refuse_settings_without_effect(job.config)

    class PlannedDPOTrainer(PlannedTrainer, DPOTrainer):
        """Runs pairs that are tokens already, each twice in a micro-batch: all chosen, then all rejected."""

        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            return dataset

        def get_batch_samples(self, *args: Any, **kwargs: Any) -> tuple[list[Any], Any]:
            batches, _ = super().get_batch_samples(*args, **kwargs)
            # A count of tokens would stop the trainer from dividing by the micro-batches of a step.
            return batches, None

        def extra_state(self) -> Any:
            return {"num_tokens": self._total_train_tokens}

        def restore_extra_state(self, state: Any) -> None:
            self._total_train_tokens = state["num_tokens"]

        def probe_loss(self, model: Any, inputs: Any) -> Any:
            # The reference runs while the policy's activations wait for the backward pass.
            known = {name: inputs[name] for name in inputs if name != "completion_mask"}
            labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, IGNORE_INDEX)
            policy = model(**known, labels=labels, use_cache=False, fused_lm_head=True)
            self.compute_ref_log_probs(self.ref_model or self.model, inputs)
            return policy.loss

    PlannedDPOTrainer.job = job
    dpo, has_adapter = job.config.dpo, isinstance(model, PeftModel)
    from_base = has_adapter and adapter_changes_nothing(model)
    trainer = PlannedDPOTrainer(
        model=model,
        ref_model=None if has_adapter else frozen_copy(model),
        args=DPOConfig(
            **shared_arguments(job),
            beta=dpo.beta,
            loss_type=[dpo.loss_type],
            label_smoothing=dpo.label_smoothing,
            # Dropout would part the policy from its reference where they are equal.
            disable_dropout=True,
            max_length=None,
        ),
        data_collator=DataCollatorForPreference(pad_token_id=pad_token_id(tokenizer)),
        train_dataset=job.dataset(),
        processing_class=tokenizer,
        callbacks=callbacks,
    )
    if job.on_gpu and not has_adapter and has_mixed_weights(trainer.model):
        for policy in (trainer.model, trainer.ref_model):
            run_in_autocast(policy, "cuda", torch.bfloat16)
    if from_base:
        # Without the copy TRL switches the adapter off for the reference.
        model.delete_adapter(REFERENCE_ADAPTER)
    print(f"reference policy: {_reference_title(has_adapter, from_base)}", flush=True)
    if job.on_gpu:
        print(padding_title(leave_padding_out(trainer.model)), flush=True)
    return trainer


def adapter_changes_nothing(model: Any) -> bool:
    """Whether a model with an adapter is the base model still, as one with a new LoRA adapter is.

    That is when only LoRA matrices are trained and every product B A is zero because B is.
    """
    trained = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    only_lora = all(".lora_A." in name or ".lora_B." in name for name, _ in trained)
    return only_lora and not any(weight.any() for name, weight in trained if ".lora_B." in name)


def frozen_copy(model: Any) -> Any:
    """The model once more, on the same device, for evaluation alone; it costs the memory of its weights."""
    return copy.deepcopy(model).requires_grad_(False).eval()


def pad_token_id(tokenizer: Any) -> int:
    """What rows are padded with; masks keep it out of the attention and the loss, whichever token it is."""
    text_tokenizer = getattr(tokenizer, "tokenizer", tokenizer)  # that of a processor for images too
    found = text_tokenizer.pad_token_id
    return int(text_tokenizer.eos_token_id if found is None else found)


def _reference_title(has_adapter: bool, from_base: bool) -> str:
    if not has_adapter:
        return "a frozen copy of the model"
    return "the model without its adapter" if from_base else "a frozen copy of the adapter"
