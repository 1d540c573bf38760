"""What makes a model folder's tokenizer the tokenizer it is."""

import json
from pathlib import Path

from opensloth_core.errors import ModelError
from opensloth_core.store.digest import file_digest

TOKENIZER_FILES = (
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "merges.txt",
    "special_tokens_map.json",
    "spiece.model",
    "tekken.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)
"""Files transformers builds a tokenizer from."""


def tokenizer_parts(model_dir: Path) -> dict[str, str]:
    """Digest of each tokenizer file of a folder, and what of its configuration picks the tokenizer's class.

    Read from files, so that deciding on a cache hit imports neither transformers nor torch.

    Raises:
        ModelError: the folder has no tokenizer, or a config.json that cannot be read.
    """
    found = [path for name in TOKENIZER_FILES if (path := model_dir / name).is_file()]
    found += sorted((model_dir / "additional_chat_templates").glob("*.jinja"))
    if not found:
        raise ModelError(f"{model_dir}: no tokenizer in this folder (no tokenizer.json or tokenizer.model)")
    parts = {f"tokenizer: {path.name}": file_digest(path) for path in found}
    try:
        config = json.loads((model_dir / "config.json").read_text())
    except FileNotFoundError as err:
        raise ModelError(f"{model_dir}: not a model folder (it has no config.json)") from err
    except ValueError as err:
        raise ModelError(f"{model_dir / 'config.json'}: not valid JSON: {err}") from err
    parts["tokenizer: model type"] = str(config.get("model_type"))
    parts["tokenizer: class"] = str(config.get("tokenizer_class"))
    return parts
