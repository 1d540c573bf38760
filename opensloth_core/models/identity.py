"""Which model a folder holds, told without reading all of it."""

import hashlib
import os
from pathlib import Path

from opensloth_core.errors import ModelError

CONFIGS = ("config.json", "adapter_config.json")
WEIGHTS = (".safetensors", ".bin", ".gguf")

NUM_SAMPLES = 1024
SAMPLE_BYTES = 4096


def model_identity(*folders: Path) -> str:
    """Digest of the models or adapters in some folders: their configurations, and samples of their weights.

    Of each file with weights count its name, its size and 1024 blocks of 4 KiB spread evenly over it, so a
    model of any size takes milliseconds and keeps its identity when it is copied. Training changes nearly all
    bytes of what it trains; a change that fits between two samples (5 MB apart in 5 GB) would go unseen.

    Raises:
        ModelError: a folder cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    for folder in folders:
        try:
            for path in sorted(folder.iterdir()):
                if path.name in CONFIGS:
                    _add(digest, path.name, path.read_bytes())
                elif path.suffix in WEIGHTS:
                    _add_samples(digest, path)
        except OSError as err:
            raise ModelError(f"{folder}: the model cannot be read: {err.strerror}") from err
    return digest.hexdigest()


def _add_samples(digest: "hashlib.blake2b", path: Path) -> None:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        _add(digest, path.name, size.to_bytes(8, "little"))
        last = max(0, size - SAMPLE_BYTES)
        count = min(NUM_SAMPLES, last // SAMPLE_BYTES + 2)
        for number in range(count):
            file.seek(last * number // (count - 1))
            digest.update(file.read(SAMPLE_BYTES))


def _add(digest: "hashlib.blake2b", name: str, content: bytes) -> None:
    # The lengths keep one name's end and another's beginning apart.
    encoded = name.encode()
    digest.update(len(encoded).to_bytes(4, "little") + encoded + len(content).to_bytes(8, "little") + content)
