"""What encoding needs of a model, read in a process of its own.

There transformers is imported without torch, which it supports for tokenizers: 2 s of work instead of
9. The processes of callers stay free of both.
"""

import json
from pathlib import Path

from opensloth_core.config.data import TrainOn
from opensloth_core.data.encode import EncodeSetup
from opensloth_core.errors import ModelError
from opensloth_core.launch.helper_process import HelperProcess


def load_setup(model_dir: Path, train_on: TrainOn, chats: bool) -> EncodeSetup:
    """The setup for a model's folder.

    Args:
        chats: False where only plain text is encoded, which needs no chat template.

    Raises:
        ModelError: the tokenizer cannot be loaded, or has no chat template where one is needed.
    """
    reader = HelperProcess("opensloth_core.data.setup_worker", "reads the tokenizer")
    try:
        reader.send((model_dir, train_on, chats))
        setup: EncodeSetup = reader.receive()
    finally:
        reader.end()
    return setup


def read_setup(model_dir: Path, train_on: TrainOn, chats: bool) -> EncodeSetup:
    """See `load_setup`; right here."""
    from opensloth_core.data.load_tokenizer import load_tokenizer
    from opensloth_core.data.render.spec import template_spec
    from opensloth_core.data.tokenize import tokenizer_json

    tokenizer = load_tokenizer(model_dir)
    path = model_dir / "config.json"
    try:
        model_config = json.loads(path.read_text())
    except (OSError, ValueError) as err:
        raise ModelError(f"{path}: cannot be read: {err}") from err
    return EncodeSetup(
        template_spec(tokenizer, model_config, chats=chats), train_on, tokenizer_json(tokenizer)
    )
