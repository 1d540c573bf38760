"""Which folder a run's tokenizer comes from: the adapter's where it brings one, else the model's."""

import hashlib
import shutil
from pathlib import Path

from opensloth_core.errors import StoreError
from opensloth_core.models.build import built_once
from opensloth_core.store.digest import file_digest, parts_digest
from opensloth_core.store.home import home_dir
from opensloth_core.store.tokenizer_files import TOKENIZER_FILES

VOCABULARY_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "tekken.json",
    "vocab.json",
    "vocab.txt",
)
"""One of them is in every folder that a tokenizer can be loaded from."""

PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json")
"""What models that also read images load beside the tokenizer."""


def tokenizer_folder(adapter_dir: Path, model_dir: Path) -> Path:
    """A folder with the tokenizer that belongs to an adapter, and the configuration of its base.

    The base's own where the adapter brings none or the same, so that data prepared for one serves the
    other; else one under the home folder that holds both, made once for their content.

    Raises:
        StoreError: that cannot be written.
    """
    own = _digests(adapter_dir)
    if not own.keys() & set(VOCABULARY_FILES) or own == _digests(model_dir):
        return model_dir
    config_path = model_dir / "config.json"
    digest = parts_digest({**own, "config": file_digest(config_path)})
    # The folder's name tells the family of a model whose configuration does not.
    target = home_dir() / "models" / f"tokenizer-{digest}" / model_dir.name

    def build(folder: Path) -> None:
        copy_tokenizer(adapter_dir, folder)
        shutil.copyfile(config_path, folder / "config.json")

    try:
        return built_once(target, build)
    except OSError as err:
        raise StoreError(
            f"{target}: cannot be written: {err.strerror}; make room, or set OPENSLOTH_HOME to a folder you "
            "can write"
        ) from err


def tokenizer_paths(folder: Path) -> list[Path]:
    """The files of a folder that make up its tokenizer."""
    found = [path for name in TOKENIZER_FILES if (path := folder / name).is_file()]
    return found + sorted((folder / "additional_chat_templates").glob("*.jinja"))


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copy a tokenizer's files as they are; saved anew, it would hold the limits of this run."""
    images = [path for name in PROCESSOR_FILES if (path := source / name).is_file()]
    for path in [*tokenizer_paths(source), *images]:
        copy = target / path.relative_to(source)
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, copy)


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        for path in tokenizer_paths(folder)
    }
