"""Whether a tokenizer and its chat template can be read; transformers, which loads them, takes seconds."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from opensloth_core.data.example import Text
from opensloth_core.data.probe import ProbedRow
from opensloth_core.errors import ModelError
from opensloth_core.models.locate import local_folder
from opensloth_core.models.present import has_tokenizer, present_folder
from opensloth_core.models.start import Start

_RUST_FILE = "tokenizer.json"


def check_tokenizer(start: Start) -> None:
    """Refuse a model or an adapter whose tokenizer cannot be read; one that is yet to be fetched may be good.

    Raises:
        ModelError: none of the files that one is loaded from is there, or tokenizer.json is damaged.
    """
    folder = _tokenizer_dir(start)
    if folder is None:
        return
    cause = "it has no tokenizer.json" if not has_tokenizer(folder) else _damage(folder / _RUST_FILE)
    if cause:
        raise ModelError(
            f"{folder}: no tokenizer can be loaded from this folder: {cause}; give a folder "
            "with the model's tokenizer.json and tokenizer_config.json"
        )


def check_template(start: Start, rows: Sequence[ProbedRow]) -> None:
    """Refuse a chat template that is no Jinja, where the first rows of the data are conversations.

    Raises:
        ModelError: where it is broken.
    """
    folder = _tokenizer_dir(start)
    if folder is None or all(isinstance(row.example, Text) for row in rows):
        return
    from opensloth_core.data.render.compiled import compiled

    for source in _templates(folder):
        compiled(str(folder), source, {})


def _tokenizer_dir(start: Start) -> Path | None:
    """Where the tokenizer is loaded from; None where it is not here yet."""
    if start.adapter is not None and has_tokenizer(start.adapter.folder):
        return start.adapter.folder
    folder = present_folder(start.model)
    if folder is None or (local_folder(start.model) is None and not has_tokenizer(folder)):
        return None
    return folder


def _damage(path: Path) -> str | None:
    from tokenizers import Tokenizer

    if not path.is_file():
        return None
    try:
        Tokenizer.from_file(str(path))
    # The only type that it raises.
    except Exception as err:
        return f"{path.name}: {' '.join(str(err).split())}"
    return None


def _templates(folder: Path) -> Iterator[str]:
    """The file's, which comes before what tokenizer_config.json holds: one, or several with names."""
    path, config_path = folder / "chat_template.jinja", folder / "tokenizer_config.json"
    try:
        if path.is_file():
            yield path.read_text()
            return
        config: Any = json.loads(config_path.read_text()) if config_path.is_file() else {}
    except (OSError, ValueError) as err:
        raise ModelError(f"{folder}: its tokenizer cannot be read: {err}; copy the model again") from err
    found = config.get("chat_template") if isinstance(config, dict) else None
    named = found if isinstance(found, list) else [{"template": found}]
    for one in named:
        source = one.get("template") if isinstance(one, dict) else None
        if isinstance(source, str):
            yield source
