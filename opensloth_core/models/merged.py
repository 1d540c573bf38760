"""Models with an adapter merged into their weights, made once for their content.

    <home>/models/merged-<digest>/      a model as transformers loads it, with a tokenizer

An adapter trained on top names that folder as its base, so the folder stays.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from opensloth_core.errors import ModelError, StoreError
from opensloth_core.models.adapter import CONFIG_FILE, Adapter
from opensloth_core.models.build import built_once
from opensloth_core.models.tokenizer import copy_tokenizer, tokenizer_paths
from opensloth_core.store.digest import parts_digest
from opensloth_core.store.digest_memory import remembered_digest
from opensloth_core.store.home import home_dir

_MERGE_VERSION = "1"
"""Changes where the same base and adapter would be merged to other weights."""


def check_mergeable(adapter: Adapter, model_dir: Path) -> None:
    """Refuse to merge into weights that were rounded to few bits.

    Raises:
        ModelError: the model is quantized.
    """
    config = json.loads((model_dir / "config.json").read_text())
    if "quantization_config" in config:
        raise ModelError(
            f"{model_dir}: is quantized, so no adapter can be merged into it; pass the model in 16 bits as "
            f"--model and {adapter.folder} as --pretrained-lora"
        )


def merged_model_dir(
    model_dir: Path, tokenizer_dir: Path, adapter: Adapter, say: Callable[[str], None]
) -> Path:
    """Folder of a model with an adapter merged into it, built on the first call.

    The merge is computed in float32 on the CPU and rounded to the model's own number format.

    Raises:
        ModelError: the two cannot be merged.
        StoreError: the folder cannot be written.
    """
    sources = [
        *sorted(model_dir.glob("*.safetensors")),
        model_dir / "config.json",
        *tokenizer_paths(tokenizer_dir),
    ]
    parts = {f"model: {path.name}": remembered_digest(path) for path in sources}
    for path in (adapter.weights_path, adapter.folder / CONFIG_FILE):
        parts[f"adapter: {path.name}"] = remembered_digest(path)
    target = home_dir() / "models" / f"merged-{parts_digest({**parts, 'version': _MERGE_VERSION})}"
    begun = "is" if target.is_dir() else "becomes, while you wait,"
    say(f"the base model {begun} {target}: {model_dir} with {adapter.folder} merged into it; keep it")

    try:
        return built_once(target, lambda folder: write_merged(model_dir, tokenizer_dir, adapter, folder))
    except OSError as err:
        raise StoreError(
            f"{target}: cannot be written: {err.strerror}; make room, or set OPENSLOTH_HOME to a folder you "
            "can write"
        ) from err


def write_merged(model_dir: Path, tokenizer_dir: Path, adapter: Adapter, folder: Path) -> None:
    """Write a model with an adapter merged into it, and a tokenizer, into a folder that exists.

    Raises:
        ModelError: the two cannot be merged.
    """
    _merge(model_dir, adapter, folder)
    copy_tokenizer(tokenizer_dir, folder)


def _merge(model_dir: Path, adapter: Adapter, folder: Path) -> None:
    """Merge in a process of its own, since this one may not want torch; it ends with this one."""
    command = [sys.executable, "-m", "opensloth_core.models.merge"]
    done = subprocess.run(
        [*command, str(model_dir), str(adapter.folder), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OPENSLOTH_PARENT_PID": str(os.getpid())},
    )
    if done.returncode != 0:
        last_line = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise ModelError(f"{adapter.folder}: could not be merged into {model_dir}: {last_line}")
