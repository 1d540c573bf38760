"""Whether a model is one that text can be generated with, and brings a tokenizer."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

from opensloth_core.errors import ModelError
from opensloth_core.models.present import has_tokenizer

_MAPPINGS = ("MODEL_FOR_CAUSAL_LM_MAPPING_NAMES", "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES")


def check_architecture(folder: Path, trust_remote_code: bool) -> None:
    """Refuse an architecture that transformers cannot generate text with.

    Raises:
        ModelError: it is unknown, or of another kind, such as an encoder.
    """
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError) as err:
        raise ModelError(f"{folder / 'config.json'}: cannot be read: {err}; copy the model again") from err
    kind = config.get("model_type") if isinstance(config, dict) else None
    if not isinstance(kind, str):
        raise ModelError(f"{folder / 'config.json'}: names no model_type; copy the model again")
    if (trust_remote_code and "auto_map" in config) or _may_be_known(kind) or _is_known(kind):
        return
    named = config.get("architectures")
    what = f" ({named[0]})" if isinstance(named, list) and named else ""
    raise ModelError(
        f"{folder}: transformers has no language model of the architecture {kind}{what}; take a causal "
        "language model, or install a transformers that knows it"
    )


def check_tokenizer(folder: Path) -> None:
    """Refuse a folder without a tokenizer.

    Raises:
        ModelError: none of the files that one is loaded from is there.
    """
    if not has_tokenizer(folder):
        raise ModelError(
            f"{folder}: no tokenizer can be loaded from this folder: it has no tokenizer.json; give a folder "
            "with the model's tokenizer.json and tokenizer_config.json"
        )


def _may_be_known(kind: str) -> bool:
    """Whether the source of transformers names it, which importing would take seconds to say."""
    spec = find_spec("transformers")
    if spec is None or spec.origin is None:
        return False
    text = (Path(spec.origin).parent / "models" / "auto" / "modeling_auto.py").read_text()
    tables = [
        re.split(r"\n\)", part, maxsplit=1)[0] for name in _MAPPINGS for part in text.split(f"\n{name} =")[1:]
    ]
    return any(f'("{kind}",' in table for table in tables)


def _is_known(kind: str) -> bool:
    from transformers.models.auto import modeling_auto

    return any(kind in getattr(modeling_auto, name, {}) for name in _MAPPINGS)
