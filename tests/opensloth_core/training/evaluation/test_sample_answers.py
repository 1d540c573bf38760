from pathlib import Path
from typing import Any

import pytest
import torch

from opensloth_core.models.tiny import MAX_POSITIONS
from opensloth_core.training.evaluation import answers as module
from opensloth_core.training.evaluation.answers import answers, greedy_sampling
from opensloth_core.training.evaluation.samples import Sample

TEXTS = [
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|>user\nA longer one?<|im_end|>\n<|im_start|>assistant\n",
]

Loaded = tuple[Any, Any]
"""Model and tokenizer."""


@pytest.fixture(scope="module")
def loaded(tiny_model_dir: Path) -> Loaded:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(tiny_model_dir), AutoTokenizer.from_pretrained(tiny_model_dir)


def samples(tokenizer: Any) -> list[Sample]:
    return [
        Sample(tokenizer.encode(text), tokenizer.encode(f"Answer {number}.<|im_end|>"))
        for number, text in enumerate(TEXTS)
    ]


def test_prompts_keep_who_speaks_and_answers_are_plain(loaded: Loaded) -> None:
    model, tokenizer = loaded
    found = answers(model, tokenizer, samples(tokenizer))
    assert [one["prompt"] for one in found] == TEXTS
    assert [one["reference"] for one in found] == ["Answer 0.", "Answer 1."]
    assert found == answers(model, tokenizer, samples(tokenizer)), "greedy"
    assert all("<|im" not in one["completion"] for one in found)


def test_answers_end_where_the_model_has_no_more_room(loaded: Loaded) -> None:
    model, tokenizer = loaded
    long = Sample([5] * (MAX_POSITIONS - 7), [6])
    (found,) = answers(model, tokenizer, [long])
    assert 1 <= len(found["completion"]) <= 7  # a token is a byte


@pytest.mark.parametrize(("num_reference", "limit"), [(0, 256), (3, 64), (50, 100), (500, 256)])
def test_an_answer_may_be_twice_as_long_as_the_data_s(num_reference: int, limit: int) -> None:
    assert module._limit([Sample([1], [2] * num_reference), Sample([1], [])]) == limit


def test_time_that_runs_out_leaves_later_batches_unanswered(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = loaded
    monkeypatch.setattr(module, "BATCH_SIZE", 1)
    monkeypatch.setattr(module, "MAX_SECONDS", 0.0)
    assert answers(model, tokenizer, samples(tokenizer)) == []


def test_a_reference_s_last_token_ends_an_answer_where_it_is_special(loaded: Loaded) -> None:
    model, tokenizer = loaded
    end_of_text, end_of_turn = 0, 2
    plain = 70
    ends = greedy_sampling(model, tokenizer, [Sample([1], [9, end_of_text]), Sample([1], [9, plain])]).end_ids
    assert ends == (end_of_text, end_of_turn)
    assert greedy_sampling(model, tokenizer).end_ids == (end_of_turn,)


def test_answering_leaves_the_model_in_training_and_the_random_numbers_alone(
    loaded: Loaded,
) -> None:
    model, tokenizer = loaded
    model.train()
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    answers(model, tokenizer, samples(tokenizer)[:1])
    assert torch.equal(torch.rand(3), expected)
    assert all(part.training for part in model.modules())
