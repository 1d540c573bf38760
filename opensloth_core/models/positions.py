"""How long a sequence a model takes."""

import json
from collections.abc import Mapping
from pathlib import Path

_NAMES = ("max_position_embeddings", "n_positions")
"""What configurations call it; the second is GPT-2's."""


def max_positions(folder: Path) -> int | None:
    """Tokens of the longest sequence that a model takes, by its config.json; None where that does not say.

    Of a model with a text model in it, those of the text model. What `rope_scaling` stretches positions by
    is in the number already.
    """
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(config, Mapping):
        return None
    text = config.get("text_config")
    for part in (text, config) if isinstance(text, Mapping) else (config,):
        for name in _NAMES:
            if isinstance(found := part.get(name), int) and found > 0:
                return found
    return None
