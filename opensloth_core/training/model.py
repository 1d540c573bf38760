"""Loads the model a rank trains, through Unsloth.

`import unsloth` must come before transformers, trl and peft are imported anywhere in the
process: it replaces parts of them.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ModelError
from opensloth_core.models.adapter import CONFIG_FILE, WEIGHTS_FILE
from opensloth_core.models.loaded import check_all_loaded
from opensloth_core.models.positions import max_positions
from opensloth_core.runs.directory import Launch
from opensloth_core.training.varlen_attention import use_varlen_attention


def load_model(config: OpenSlothConfig, launch: Launch, device: str) -> tuple[Any, Any]:
    """The model, ready to train, and its tokenizer.

    Its adapter, a new one or the one that is given, is called "default" and is in training.

    Args:
        config: the run's configuration.
        launch: the folders of model, tokenizer and adapter.
        device: torch device of this rank, such as `cuda:1` or `cpu`.

    Raises:
        ModelError: the given adapter does not fit the model.
    """
    if device != "cpu":
        use_varlen_attention()
    if launch.adapter_dir is None:
        model, tokenizer = _load(config, launch.model_dir, launch, device)
        if config.finetuning_type != "full":
            model = _with_new_adapter(model, config, device)
    else:
        model, tokenizer = _load_with_adapter(config, Path(launch.adapter_dir), launch, device)
    if config.finetuning_type != "full" and config.dtype == "float32":
        # Unsloth's trainers would multiply in bfloat16 all the same; this is how its own
        # models that need float32 say so.
        model._unsloth_forced_float32 = True
    return model, tokenizer


def _load(config: OpenSlothConfig, folder: str, launch: Launch, device: str) -> tuple[Any, Any]:
    from unsloth import FastLanguageModel

    model, tokenizer = FastLanguageModel.from_pretrained(
        model_name=folder,
        tokenizer_name=None if folder == str(launch.tokenizer_folder) else str(launch.tokenizer_folder),
        max_seq_length=loaded_length(config, launch),
        dtype=resolve_dtype(config, device),
        load_in_4bit=config.finetuning_type == "qlora",
        full_finetuning=config.finetuning_type == "full",
        use_gradient_checkpointing=_checkpointing(config, device),
        device_map={"": device},
        trust_remote_code=config.trust_remote_code,
    )
    return model, tokenizer


def loaded_length(config: OpenSlothConfig, launch: Launch) -> int:
    """Tokens of the longest sequence; for more than the model's positions, Unsloth would change these."""
    positions = max_positions(Path(launch.model_dir))
    return config.context_length if positions is None else min(config.context_length, positions)


def _with_new_adapter(model: Any, config: OpenSlothConfig, device: str) -> Any:
    from unsloth import FastLanguageModel

    return FastLanguageModel.get_peft_model(
        model,
        r=config.lora.lora_rank,
        lora_alpha=config.lora.lora_alpha,
        lora_dropout=config.lora.lora_dropout,
        target_modules=list(config.lora.target_modules),
        use_gradient_checkpointing=_checkpointing(config, device),
        random_state=config.seed,
    )


def _load_with_adapter(
    config: OpenSlothConfig, adapter_dir: Path, launch: Launch, device: str
) -> tuple[Any, Any]:
    """Unsloth's own way to go on with an adapter: given its folder, it loads the base named there."""
    named = json.loads((adapter_dir / CONFIG_FILE).read_text())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # The base may have moved since the adapter was saved.
        (folder / CONFIG_FILE).write_text(
            json.dumps({**named, "base_model_name_or_path": launch.model_dir, "revision": None})
        )
        (folder / WEIGHTS_FILE).symlink_to(adapter_dir.absolute() / WEIGHTS_FILE)
        try:
            model, tokenizer = _load(config, str(folder), launch, device)
        except RuntimeError as err:
            if "size mismatch" not in str(err):
                raise
            mismatch = next(line.strip() for line in str(err).splitlines() if "size mismatch" in line)
            raise ModelError(f"{adapter_dir}: does not fit the model {launch.model_dir}: {mismatch}") from err
    check_all_loaded(model, adapter_dir)
    return model, tokenizer


def _checkpointing(config: OpenSlothConfig, device: str) -> Any:
    return "unsloth" if use_gradient_checkpointing(config, device) else False


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
    """Whether the model is loaded to recompute activations: as set, else on GPUs, where it may be undone."""
    setting = config.training.gradient_checkpointing
    return device != "cpu" if setting is None else setting
