"""A small real tokenizer in a model's folder, and encoding with it without starting processes."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from opensloth_core.config.data import TrainOn
from opensloth_core.data.chunk import RawChunk
from opensloth_core.data.encode import ChunkEncoder, EncodedChunk, EncodeSetup
from opensloth_core.data.encode_pool import EncodePool
from opensloth_core.data.encode_setup import load_setup
from tests.conftest import CHATML

SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

LoadSetup = Callable[[Path, TrainOn, bool], EncodeSetup]


@pytest.fixture(scope="session")
def byte_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder without weights: ChatML, where every byte and every marker is a token."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE({token: i for i, token in enumerate([*SPECIAL_TOKENS, *alphabet])}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL_TOKENS])
    folder = tmp_path_factory.mktemp("models") / "bytes"
    folder.mkdir()
    backend.save(str(folder / "tokenizer.json"))
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer_config))
    (folder / "chat_template.jinja").write_text(CHATML)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    return folder


@pytest.fixture(scope="session")
def remembering_load_setup() -> LoadSetup:
    """`load_setup`, which starts a process for two seconds, once for each content of a model's folder."""
    known: dict[object, EncodeSetup] = {}

    def load(model_dir: Path, train_on: TrainOn, chats: bool) -> EncodeSetup:
        paths = sorted(path for path in model_dir.iterdir() if path.suffix in (".json", ".jinja"))
        key = (chats, *(path.read_bytes() for path in paths))
        if key not in known:
            known[key] = load_setup(model_dir, "assistant", chats)
        return replace(known[key], train_on=train_on)

    return load


@pytest.fixture(scope="session")
def byte_setup(byte_model_dir: Path, remembering_load_setup: LoadSetup) -> EncodeSetup:
    """What encodes for `byte_model_dir`."""
    return remembering_load_setup(byte_model_dir, "assistant", True)


@pytest.fixture
def quick_setup(monkeypatch: pytest.MonkeyPatch, remembering_load_setup: LoadSetup) -> None:
    """Has the store read the tokenizer of equal model folders once for all tests."""
    monkeypatch.setattr("opensloth_core.store.setup_memory.load_setup", remembering_load_setup)


@pytest.fixture
def encode_here(monkeypatch: pytest.MonkeyPatch) -> list[RawChunk]:
    """Has inputs of several chunks encoded by this process; the chunks that were, as they are done."""
    done: list[RawChunk] = []

    def encode(pool: EncodePool, chunks: Iterable[RawChunk]) -> Iterator[EncodedChunk]:
        encoder = None
        for chunk in chunks:
            encoder = encoder or ChunkEncoder(pool._setup())
            done.append(chunk)
            yield encoder.encode(chunk)

    monkeypatch.setattr(EncodePool, "encode", encode)
    return done


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch, encode_here: list[RawChunk]) -> list[RawChunk]:
    """Has inputs divided into chunks of 12 rows on average, 32 at most; see `encode_here`."""
    for name, value in {"MIN_ROWS": 4, "MAX_ROWS": 32, "SMALLEST_SHARE": 8}.items():
        monkeypatch.setattr(f"opensloth_core.data.chunk.{name}", value)
    return encode_here
