"""Merges an adapter into a model: `python -m opensloth_core.models.merge MODEL ADAPTER FOLDER`."""

import sys
from pathlib import Path

from opensloth_core.errors import OpenSlothError
from opensloth_core.launch.parent import die_with_parent


def merge(model_dir: Path, adapter_dir: Path, target: Path) -> None:
    """Write the model with the adapter merged into it.

    W' = round(W + s B A), computed in float32 and rounded to W's number format, s = alpha / rank (or as the
    adapter says). Each layer is widened on its own, so that the model is never in memory twice.

    Raises:
        ModelError: the adapter does not fit the model.
    """
    import transformers
    from peft import PeftModel
    from peft.tuners.lora import LoraLayer

    from opensloth_core.models.loaded import check_all_loaded

    # Said, since transformers would ask the terminal otherwise.
    config = transformers.AutoConfig.from_pretrained(model_dir, trust_remote_code=False)
    # The class the checkpoint was saved by names the layers as an adapter of it does.
    name = (getattr(config, "architectures", None) or [""])[0]
    model_class = getattr(transformers, name, transformers.AutoModelForCausalLM)
    base = model_class.from_pretrained(model_dir, dtype="auto", use_safetensors=True)
    model = PeftModel.from_pretrained(base, adapter_dir, use_safetensors=True)
    check_all_loaded(model, adapter_dir)
    for layer in [module for module in model.modules() if isinstance(module, LoraLayer)]:
        matrix = layer.get_base_layer()
        dtype = matrix.weight.dtype
        matrix.float()
        layer.merge()
        matrix.to(dtype)
    merged = model.merge_and_unload()  # what is left: layers that the adapter replaces whole
    merged.save_pretrained(target)


if __name__ == "__main__":
    die_with_parent()
    try:
        merge(*map(Path, sys.argv[1:4]))
    except OpenSlothError as err:
        sys.exit(str(err))
