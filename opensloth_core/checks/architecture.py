"""Whether a model is one that text can be generated with."""

import json
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from opensloth_core.errors import ModelError

_MAPPINGS = ("MODEL_FOR_CAUSAL_LM_MAPPING_NAMES", "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES")
_NOT_DECODERS = ("MODEL_FOR_MASKED_LM_MAPPING_NAMES", "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES")
"""What some families are unless they are asked to be decoders, which transformers can make of them too."""

_OTHER_TASK = re.compile(r"For(?!CausalLM|ConditionalGeneration)[A-Z]")
_ENTRY = re.compile(r'\("([^"]+)", "([^"]+)"\)')


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
    if trust_remote_code and "auto_map" in config:
        return
    named = config.get("architectures")
    named = str(named[0]) if isinstance(named, list) and named else None
    tables = _tables()
    if not (any(kind in tables[name] for name in _MAPPINGS) or _is_known(kind)):
        raise ModelError(
            f"{folder}: transformers has no language model of the architecture {kind}"
            f"{f' ({named})' if named else ''}; take a causal language model, or install a transformers that "
            "knows it"
        )
    if not config.get("is_decoder") and not _continues_text(kind, named, tables):
        raise ModelError(
            f"{folder}: its architecture {kind}{f' ({named})' if named else ''} does not continue text; take "
            "a causal language model"
        )


def _continues_text(kind: str, named: str | None, tables: Mapping[str, Mapping[str, str]]) -> bool:
    if any(named in tables[name].values() for name in _MAPPINGS):
        return True
    if any(kind in tables[name] for name in _NOT_DECODERS) and kind in tables[_MAPPINGS[0]]:
        return False
    return named is None or not _OTHER_TASK.search(named)


def _tables() -> dict[str, dict[str, str]]:
    """Class by model_type, of each mapping, from the source of transformers: importing it takes seconds."""
    spec = find_spec("transformers")
    text = ""
    if spec is not None and spec.origin is not None:
        text = (Path(spec.origin).parent / "models" / "auto" / "modeling_auto.py").read_text()
    return {
        name: {
            kind: shown
            for part in text.split(f"\n{name} =")[1:]
            for kind, shown in _ENTRY.findall(re.split(r"\n\)", part, maxsplit=1)[0])
        }
        for name in (*_MAPPINGS, *_NOT_DECODERS)
    }


def _is_known(kind: str) -> bool:
    from transformers.models.auto import modeling_auto

    return any(kind in getattr(modeling_auto, name, {}) for name in _MAPPINGS)
