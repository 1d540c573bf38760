"""An adapter on disk, with a base that can be found again."""

import json
from pathlib import Path
from typing import Any

from opensloth_core.expanded import expanded
from opensloth_core.models.adapter import CONFIG_FILE, write_note
from opensloth_core.models.embedded import EMBEDDED
from opensloth_core.runs.directory import Launch

_TRAINED = "default"
"""PEFT's name for the adapter that is trained; a frozen reference may be beside it."""


def save_adapter(model: Any, folder: Path, launch: Launch) -> None:
    """Save a `PeftModel`'s trained adapter into a folder.

    PEFT's configuration names the base as PEFT can load it: by its hub id, else by its folder, which another
    machine may lack. Our note beside it says what the user called it, so that "embedded" is found anywhere.
    """
    base_model = launch.base_model or launch.model_dir
    is_hub_id = base_model != EMBEDDED and not expanded(base_model).is_dir()
    loadable = base_model if is_hub_id else launch.model_dir
    model.save_pretrained(folder, selected_adapters=[_TRAINED])
    path = folder / CONFIG_FILE
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = loadable
    if isinstance(config.get("target_modules"), list):
        config["target_modules"].sort()  # PEFT keeps a set, whose order differs from run to run
    path.write_text(json.dumps(config, indent=2) + "\n")
    write_note(folder, base_model if is_hub_id or base_model == EMBEDDED else loadable, launch.model_dir)
    card = folder / "README.md"
    if loadable != launch.model_dir and card.is_file():
        card.write_text(card.read_text().replace(launch.model_dir, loadable))
