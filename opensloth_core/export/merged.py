"""A result as a whole model: an adapter merged into its base, in the base's number format or another."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from opensloth_core.data.load_tokenizer import load_tokenizer
from opensloth_core.export.folder import check_room, export_folder, published
from opensloth_core.export.result import Result, fetched
from opensloth_core.models.adapter import read_adapter
from opensloth_core.models.merged import check_mergeable, write_merged
from opensloth_core.models.start import StartFolders
from opensloth_core.models.tensors import weights_dtype

Dtype = Literal["auto", "bfloat16", "float16", "float32"]
Say = Callable[[str], None]


def export_merged(result: Result, output: Path | None, base: str | None, dtype: Dtype, say: Say) -> Path:
    """Write a model that transformers loads by itself, with tokenizer and chat template. Gives its folder.

    Args:
        output: a new or empty folder; see `export_folder`.
        base: see `fetched`.
        dtype: number format of the weights; "auto" is that of the base.
        say: told before a step that takes long.

    Raises:
        ConfigError: the folder cannot be had.
        ModelError: the base is not there, is quantized, or the adapter does not fit it.
        StoreError: the folder cannot be written.
    """
    target = export_folder(result, "merged", output)
    start = fetched(result, base, say)
    check_room(target, weights_bytes(start.model_dir))
    with published(target) as folder:
        write_whole(start, folder, dtype, say)
    return target


def write_whole(start: StartFolders, folder: Path, dtype: Dtype, say: Say) -> None:
    """Write the whole model of a result into a folder that exists.

    Raises:
        ModelError: see `export_merged`.
    """
    from opensloth_core.training.result_model import cast_weights, mended_config, stop_at_turn_end

    load_tokenizer(start.tokenizer_dir)  # refuses what nobody could load, before anything is copied
    if start.adapter_dir is None:
        say(f"copying {start.model_dir}")
        shutil.copytree(start.model_dir, folder, dirs_exist_ok=True)
    else:
        adapter = read_adapter(start.adapter_dir)
        check_mergeable(adapter, start.model_dir)
        say(f"merging {adapter.folder} into {start.model_dir}")
        write_merged(start.model_dir, start.tokenizer_dir, adapter, folder)
    if dtype not in ("auto", weights_dtype(folder)):
        say(f"storing the weights in {dtype}")
        cast_weights(folder, dtype)
        path = folder / "config.json"
        config = json.loads(path.read_text())
        path.write_text(json.dumps(mended_config(config, config, dtype), indent=2) + "\n")
    stop_at_turn_end(folder)


def weights_bytes(folder: Path) -> int:
    """Size of the weights in a model's folder."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))
