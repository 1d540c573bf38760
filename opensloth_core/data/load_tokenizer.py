"""The tokenizer of a model's folder."""

from pathlib import Path
from typing import TYPE_CHECKING

from opensloth_core.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def load_tokenizer(model_dir: Path) -> "PreTrainedTokenizerBase":
    """The tokenizer of a local folder.

    Raises:
        ModelError: the folder has no tokenizer that can be loaded.
    """
    from transformers import AutoTokenizer

    try:
        # Said, since transformers would ask the terminal otherwise.
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            model_dir, local_files_only=True, trust_remote_code=False
        )
    # transformers raises a dozen types, from its own tree and others', for one cause.
    except Exception as err:
        is_there = (model_dir / "tokenizer.json").exists()
        cause = _first_line(err) if is_there else "it has no tokenizer.json"
        raise ModelError(
            f"{model_dir}: no tokenizer can be loaded from this folder: {cause}; "
            "give a folder with the model's tokenizer.json and tokenizer_config.json"
        ) from err
    return tokenizer


def _first_line(err: Exception) -> str:
    return (str(err).strip().splitlines() or [type(err).__name__])[0]
