"""A small real tokenizer, real chat templates, input files, and what preparing them gives."""

import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.encode import EncodeSetup
from opensloth_core.data.input_chunks import InputChunks
from opensloth_core.data.ledger import Ledger
from opensloth_core.data.prepare import Preparation, SampledRows
from opensloth_core.data.read.inputs import find_inputs
from opensloth_core.data.select import row_priority
from opensloth_core.data.tokens import TokenSet, encode_into
from opensloth_core.data.units import IGNORE_INDEX
from opensloth_core.errors import DataError
from opensloth_core.runs.events import Progress, no_progress
from tests.conftest import CHATML

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

SENTENCES = [
    "The capital of France is Paris, and the answer to the question is 42.",
    "<|im_start|>user\nWhat is your name?<|im_end|>\n<|im_start|>assistant\nI am a sloth.<|im_end|>\n",
    "naïve café, 世界 and 🙂 go their own way; numbers: 1, 2, 3.",
]


@pytest.fixture(scope="session")
def merging_backend() -> str:
    """A byte-level BPE tokenizer that merges a few letters, with ChatML's special tokens, as JSON."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.ByteLevel(trim_offsets=True)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(SENTENCES, trainer)
    return str(backend.to_str())


@pytest.fixture(scope="session")
def make_tokenizer(merging_backend: str) -> Callable[..., "PreTrainedTokenizerFast"]:
    """The merging tokenizer as transformers has it, with the given template."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    def make(template: str | None = CHATML, **special: str) -> PreTrainedTokenizerFast:
        tokens = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"} | special
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(merging_backend), **tokens)
        tokenizer.chat_template = template
        return tokenizer

    return make


@pytest.fixture(scope="session")
def merging_setup(byte_setup: EncodeSetup, merging_backend: str) -> EncodeSetup:
    """What encodes with ChatML and the merging tokenizer."""
    return replace(byte_setup, tokenizer_json=merging_backend)


@pytest.fixture(scope="session")
def tokenizer(make_tokenizer: Callable[..., "PreTrainedTokenizerFast"]) -> "PreTrainedTokenizerFast":
    """The ChatML tokenizer."""
    return make_tokenizer()


@pytest.fixture(scope="session")
def trl_template() -> Callable[[str], str]:
    """A model family's template as TRL ships it; found without importing TRL."""
    spec = importlib.util.find_spec("trl")
    assert spec and spec.origin
    folder = Path(spec.origin).parent / "chat_templates"
    return lambda name: (folder / f"{name}.jinja").read_text(encoding="utf-8")


@pytest.fixture
def jsonl(tmp_path: Path) -> Callable[..., Path]:
    """Writes rows as JSON lines and returns the path."""

    def write(rows: list[Any], name: str = "train.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


@dataclass(frozen=True)
class PreparedFolder:
    """What a preparation wrote."""

    folder: Path
    ledger: Ledger
    backend: "Tokenizer"

    def table(self, name: str) -> list[dict[str, Any]]:
        """The rows of one of its files."""
        return pa.ipc.open_stream(pa.memory_map(str(self.folder / name))).read_all().to_pylist()

    @cached_property
    def shards(self) -> list[list[dict[str, Any]]]:
        return [self.table(path.name) for path in sorted(self.folder.glob("shard-*"))]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Those of all shards."""
        return [row for shard in self.shards for row in shard]

    @property
    def rejected(self) -> list[dict[str, Any]]:
        """The lines of rejected.jsonl."""
        return [json.loads(line) for line in (self.folder / "rejected.jsonl").read_text().splitlines()]

    def decode(self, ids: list[int]) -> str:
        return str(self.backend.decode(ids, skip_special_tokens=False))

    def examples(self, rows: list[dict[str, Any]] | None = None) -> list[tuple[str, str]]:
        """(text, trained text) of every example in packs, sorted."""
        found = []
        for row in self.rows if rows is None else rows:
            start = 0
            for length in row["seq_lengths"]:
                ids, labels = (row[column][start : start + length] for column in ("input_ids", "labels"))
                trained = [label for label in labels if label != IGNORE_INDEX]
                found.append((self.decode(ids), self.decode(trained)))
                start += length
            assert start == len(row["input_ids"]) == len(row["labels"])
        return sorted(found)


@pytest.fixture
def prepared(tmp_path: Path, byte_setup: EncodeSetup) -> Callable[..., PreparedFolder]:
    """Prepares files as the store does, without the store; a row more than 128 tokens long is too long."""
    from tokenizers import Tokenizer

    number = iter(range(1000))

    def prepare(
        *paths: Path,
        num_shards: int = 2,
        setup: EncodeSetup = byte_setup,
        progress: Progress = no_progress,
        **settings: Any,
    ) -> PreparedFolder:
        data = [str(path) for path in paths]
        config = DatasetPrepConfig.of({"data": data, "model": "x", "max_seq_length": 128} | settings)
        setup = replace(setup, train_on=config.train_on)
        chunks = InputChunks(find_inputs(config.data, config.split), config)
        folder = tmp_path / f"prepared-{next(number)}"
        folder.mkdir()
        tokens_dir = folder / "tokens"
        tokens_dir.mkdir()
        encode_into(tokens_dir, "part.arrow", chunks, lambda: setup, {})
        tokens = TokenSet(tokens_dir)
        sampled = None if config.samples is None else sampled_rows(config, tokens)
        ledger = Preparation(config, tokens, sampled).write(folder, num_shards, progress)
        return PreparedFolder(folder, ledger, Tokenizer.from_str(setup.tokenizer_json))

    return prepare


def sampled_rows(config: DatasetPrepConfig, tokens: TokenSet) -> SampledRows:
    """All rows have tokens, and some of them are to be drawn."""
    drawn = config.samples_from == "random"
    return SampledRows(tokens.num_rows, row_priority(tokens.num_rows, config.seed) if drawn else None)


@pytest.fixture
def error(prepared: Callable[..., PreparedFolder]) -> Callable[..., str]:
    """What a preparation is refused with."""

    def refuse(*paths: Path, **settings: Any) -> str:
        with pytest.raises(DataError) as caught:
            prepared(*paths, **settings)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return refuse
