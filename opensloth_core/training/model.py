"""Loads the model a rank trains, through Unsloth.

`import unsloth` must come before transformers, trl and peft are imported anywhere in the
process: it replaces parts of them.
"""

from typing import Any

from opensloth_core.config.opensloth import OpenSlothConfig


def load_model(config: OpenSlothConfig, model_dir: str, device: str) -> tuple[Any, Any]:
    """The model, ready to train, and its tokenizer.

    Args:
        config: the run's configuration.
        model_dir: folder or hub id of the model.
        device: torch device of this rank, such as `cuda:1` or `cpu`.
    """
    from unsloth import FastLanguageModel

    full = config.finetuning_type == "full"
    model, tokenizer = FastLanguageModel.from_pretrained(
        model_name=model_dir,
        max_seq_length=config.max_seq_length,
        dtype=resolve_dtype(config, device),
        load_in_4bit=config.finetuning_type == "qlora",
        full_finetuning=full,
        device_map={"": device},
    )
    if not full:
        checkpointing = use_gradient_checkpointing(config, device)
        model = FastLanguageModel.get_peft_model(
            model,
            r=config.lora.lora_rank,
            lora_alpha=config.lora.lora_alpha,
            lora_dropout=config.lora.lora_dropout,
            target_modules=list(config.lora.target_modules),
            use_gradient_checkpointing="unsloth" if checkpointing else False,
            random_state=config.seed,
        )
        if config.dtype == "float32":
            # Unsloth's trainers would multiply in bfloat16 all the same; this is how its own
            # models that need float32 say so.
            model._unsloth_forced_float32 = True
    return model, tokenizer


def resolve_dtype(config: OpenSlothConfig, device: str) -> Any:
    """The torch dtype of the weights; None leaves a CPU's choice to Unsloth.

    Unsloth takes bfloat16 on CPUs that multiply it natively (half the time of float32 there) and
    float32 on others. All weights are trained in float32 on CPUs, since plain bfloat16 loses updates.
    """
    import torch

    if config.dtype != "auto":
        return getattr(torch, config.dtype)
    if device == "cpu":
        return torch.float32 if config.finetuning_type == "full" else None
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def use_gradient_checkpointing(config: OpenSlothConfig, device: str) -> bool:
    """Whether activations are recomputed: as set, else on GPUs only."""
    setting = config.training.gradient_checkpointing
    return device != "cpu" if setting is None else setting
