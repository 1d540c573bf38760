"""Which tokens end a completion."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from opensloth_core.training.grpo.end_tokens import end_ids, turn_end_ids


@pytest.fixture
def tokenizer(tiny_model_dir: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_model_dir)


def test_the_end_tokens_of_tokenizer_and_model_end_completions(tokenizer: Any, tiny_model_dir: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    for named, expected in ((2, (2,)), ([7, 9], (2, 7, 9)), (None, (2,))):
        model.generation_config.eos_token_id = named
        assert end_ids(model, tokenizer) == expected


def test_a_base_model_ends_completions_as_its_template_ends_turns(
    tokenizer: Any, tiny_model_dir: Path
) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    tokenizer.eos_token = "<|endoftext|>"
    model.generation_config.eos_token_id = 0
    assert end_ids(model, tokenizer) == (0, 2)


def test_words_behind_a_turn_are_no_end(tokenizer: Any) -> None:
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] + ' Next: ' }}{% endfor %}"
    assert turn_end_ids(tokenizer, {}) == ()


def test_a_template_that_refuses_answers_ends_no_turns(tokenizer: Any) -> None:
    tokenizer.chat_template = (
        "{% if messages|length > 1 %}{{ raise_exception('one') }}{% endif %}{{ messages[0]['content'] }}"
    )
    assert turn_end_ids(tokenizer, {}) == ()


def test_without_a_template_of_its_own_the_familys_ends_turns(tokenizer: Any) -> None:
    tokenizer.chat_template = None
    assert turn_end_ids(tokenizer, {}) == (2,)  # its special tokens are those of ChatML
