"""A small real tokenizer, real chat templates, and input files."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SENTENCES = [
    "The capital of France is Paris, and the answer to the question is 42.",
    "<|im_start|>user\nWhat is your name?<|im_end|>\n<|im_start|>assistant\nI am a sloth.<|im_end|>\n",
    "naïve café, 世界 and 🙂 go their own way; numbers: 1, 2, 3.",
]


@pytest.fixture(scope="session")
def make_tokenizer() -> Callable[..., PreTrainedTokenizerFast]:
    """A byte-level BPE tokenizer with ChatML's special tokens, and the given template."""
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
    definition = backend.to_str()

    def make(template: str | None = CHATML, **special: str) -> PreTrainedTokenizerFast:
        tokens = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"} | special
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(definition), **tokens)
        tokenizer.chat_template = template
        return tokenizer

    return make


@pytest.fixture(scope="session")
def tokenizer(make_tokenizer: Callable[..., PreTrainedTokenizerFast]) -> PreTrainedTokenizerFast:
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
