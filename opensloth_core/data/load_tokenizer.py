"""The tokenizer of a model, and what tells two tokenizers apart."""

import hashlib
import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies

from opensloth_core.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def load_tokenizer(model: str) -> "PreTrainedTokenizerBase":
    """The tokenizer of a local folder or a hub id.

    Raises:
        ModelError: there is no such model, or it has no tokenizer that can be loaded.
    """
    # Before the import, which takes seconds that a mistyped path should not cost.
    is_folder = Path(model).expanduser().is_dir()
    if not is_folder and not _may_be_hub_id(model):
        raise ModelError(f"{model}: no such model folder, and no hub id (organisation/name) either")

    from transformers import AutoTokenizer

    source = str(Path(model).expanduser()) if is_folder else model
    only_local = is_folder or not _is_hub_known()
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            source, local_files_only=only_local
        )
    # transformers and the hub raise a dozen types from their own and urllib's trees for one cause.
    except Exception as err:
        if is_folder:
            is_there = Path(source, "tokenizer.json").exists()
            cause = _first_line(err) if is_there else "it has no tokenizer.json"
            raise ModelError(
                f"{model}: no tokenizer can be loaded from this folder: {cause}; "
                "give a folder with the model's tokenizer.json and tokenizer_config.json"
            ) from err
        raise ModelError(
            f"{model}: no such model folder, and not a hub id that can be reached; check the name, "
            "or download the model and give its folder"
        ) from err
    return tokenizer


def tokenizer_fingerprint(tokenizer: "PreTrainedTokenizerBase") -> dict[str, str]:
    """Parts of a cache key that change when the tokens of some text may: names and blake2b digests.

    Truncation and padding are left out: calling the tokenizer changes them, and we use neither.
    """
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    backend |= {"truncation": None, "padding": None}
    return {
        "tokenizer": _digest(backend),
        "chat_template": _digest(tokenizer.chat_template),
        "special_tokens": _digest(tokenizer.special_tokens_map),
    }


def _may_be_hub_id(model: str) -> bool:
    return not model.startswith((".", "/", "~")) and model.count("/") <= 1 and "\\" not in model


def _is_hub_known() -> bool:
    """Whether the hub's name resolves. Without a network its client retries for a minute."""
    from huggingface_hub.constants import ENDPOINT

    if getproxies():
        return True
    try:
        socket.getaddrinfo(urlsplit(ENDPOINT).hostname, None)
    except OSError:
        return False
    return True


def _first_line(err: Exception) -> str:
    return (str(err).strip().splitlines() or [type(err).__name__])[0]


def _digest(value: object) -> str:
    canonical = json.dumps(value, sort_keys=True, default=str)
    return hashlib.blake2b(canonical.encode(), digest_size=32).hexdigest()
