"""What encoding needs of a tokenizer, remembered: reading it again through transformers takes seconds.

store/tokenizers/<digest>.json      the setup, under a digest of all it was read from
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from opensloth_core.config.data import TrainOn
from opensloth_core.data.encode import EncodeSetup
from opensloth_core.data.encode_setup import load_setup
from opensloth_core.data.render.spec import TemplateSpec
from opensloth_core.store.digest import parts_digest
from opensloth_core.store.home import home_dir


def remembered_setup(
    model_dir: Path, train_on: TrainOn, chats: bool, settings: Mapping[str, str]
) -> EncodeSetup:
    """The setup for a model's folder; read anew where it is not remembered or the memory is damaged.

    Where the folder is does not count, only its name, from which the family may be known.

    Args:
        chats: see `load_setup`.
        settings: parts of a key that hold the digests of the tokenizer's files and of our code.

    Raises:
        ModelError: see `load_setup`.
    """
    parts = {**settings, "model": model_dir.name, "train_on": train_on, "chats": str(chats)}
    path = home_dir() / "store" / "tokenizers" / f"{parts_digest(parts)}.json"
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        memory = json.loads(path.read_text())
        if memory["check"] == _check(memory["setup"]):
            template = {**memory["setup"]["template"], "name": str(model_dir)}
            template["turn_ends"] = tuple(template["turn_ends"])
            return EncodeSetup(**{**memory["setup"], "template": TemplateSpec(**template)})
    setup = load_setup(model_dir, train_on, chats)
    _remember(path, asdict(setup))
    return setup


def _remember(path: Path, setup: dict[str, Any]) -> None:
    # A memory that cannot be written only costs time.
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
        try:
            with os.fdopen(handle, "w") as file:
                json.dump({"setup": setup, "check": _check(setup)}, file)
            Path(temporary).replace(path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise


def _check(setup: dict[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(setup, sort_keys=True).encode(), digest_size=16).hexdigest()
