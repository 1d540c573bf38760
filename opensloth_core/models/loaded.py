"""Whether PEFT loaded all of an adapter; of what it cannot place it only warns."""

from pathlib import Path
from typing import Any

from opensloth_core.errors import ModelError
from opensloth_core.models.adapter import WEIGHTS_FILE
from opensloth_core.models.tensors import tensor_shapes


def check_all_loaded(model: Any, adapter_dir: Path) -> None:
    """Refuse a model whose adapter is not wholly the one on disk: the rest of it would be random or absent.

    Args:
        model: a `PeftModel`, loaded from the folder.

    Raises:
        ModelError: matrices of the file are not in the model, or the other way round.
    """
    from peft import get_peft_model_state_dict

    # Looking for embeddings would ask the hub.
    held = get_peft_model_state_dict(model, save_embedding_layers=False)
    held_names = {name for name in held if ".lora_" in name}
    saved_names = {name for name in tensor_shapes(adapter_dir / WEIGHTS_FILE) if ".lora_" in name}
    if odd := sorted(held_names ^ saved_names):
        where = "in its file only" if odd[0] in saved_names else "missing from its file"
        raise ModelError(
            f"{adapter_dir}: does not fit the model: {len(odd)} of its matrices have no counterpart, such as "
            f"{odd[0]} ({where})"
        )
