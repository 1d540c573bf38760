"""Sampling with the model that is trained, on the stock tiny model."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from opensloth_core.training.grpo.generate import Sampling, generate_completions

PROMPTS = [[1, 40], [1, 50, 60, 70, 80, 90, 100], [1, 44, 45, 46]]
GREEDY = Sampling(max_new_tokens=12, temperature=0.0, top_p=1.0, end_ids=(2,), pad_id=0)


@pytest.fixture
def model(tiny_model_dir: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype=torch.float32)


def test_a_completion_in_a_padded_batch_is_the_one_of_its_prompt_alone(model: Any) -> None:
    together = generate_completions(model, PROMPTS, GREEDY).completion_ids
    alone = [generate_completions(model, [prompt], GREEDY).completion_ids[0] for prompt in PROMPTS]
    assert together == alone
    assert together[0] != together[1]


def test_greedy_completions_are_the_likeliest_tokens_of_plain_forwards(model: Any) -> None:
    prompt = PROMPTS[1]
    expected: list[int] = []
    with torch.no_grad():
        while len(expected) < GREEDY.max_new_tokens and 2 not in expected:
            expected.append(int(model(torch.tensor([prompt + expected])).logits[0, -1].argmax()))
    assert generate_completions(model, [prompt], GREEDY).completion_ids == [expected]


@pytest.mark.parametrize("has_adapter", [True, False])
def test_samples_follow_the_policy_whatever_the_model_brings_of_its_own(
    model: Any, has_adapter: bool
) -> None:
    if has_adapter:
        model = get_peft_model(model, LoraConfig(target_modules=["q_proj"], init_lora_weights=False))
        model.eval()
    own = model.generation_config
    model.generation_config.update(
        top_k=1, repetition_penalty=5.0, temperature=0.01, do_sample=True, min_p=0.9
    )
    torch.manual_seed(0)
    sampling = Sampling(max_new_tokens=1, temperature=0.05, top_p=1.0, end_ids=(2,), pad_id=0)
    drawn = generate_completions(model, [PROMPTS[0]] * 4000, sampling).completion_ids
    with torch.no_grad():
        log_probs = (model(torch.tensor([PROMPTS[0]])).logits[0, -1] / 0.05).log_softmax(dim=-1)
    assert model.generation_config is own
    sampled = log_probs[torch.tensor(drawn)[:, 0]]
    # The mean of a sample's log probability is minus the entropy, up to a standard error.
    error = float(sampled.std()) / len(drawn) ** 0.5
    expected = float((log_probs.exp() * log_probs).sum())
    assert float(sampled.mean()) == pytest.approx(expected, abs=4 * error)
    assert len({token for (token,) in drawn}) > 10


def test_top_p_leaves_out_the_unlikely(model: Any) -> None:
    torch.manual_seed(0)
    sampling = Sampling(max_new_tokens=1, temperature=0.05, top_p=0.5, end_ids=(2,), pad_id=0)
    drawn = {c[0] for c in generate_completions(model, [PROMPTS[0]] * 1000, sampling).completion_ids}
    with torch.no_grad():
        probs = (model(torch.tensor([PROMPTS[0]])).logits[0, -1] / 0.05).softmax(dim=-1)
    likeliest = probs.sort(descending=True)
    kept = int((likeliest.values.cumsum(0) < 0.5).sum()) + 1
    assert drawn == set(likeliest.indices[:kept].tolist())


def test_a_completion_ends_with_its_first_end_token(model: Any) -> None:
    free = generate_completions(model, PROMPTS, GREEDY).completion_ids
    end = free[1][3]
    sampling = Sampling(max_new_tokens=12, temperature=0.0, top_p=1.0, end_ids=(2, end), pad_id=0)
    ended = generate_completions(model, PROMPTS, sampling).completion_ids
    assert ended[1] == free[1][: free[1].index(end) + 1]
    assert all(end not in tokens[:-1] for tokens in ended)


@pytest.mark.parametrize("checkpointing", [True, False])
def test_the_model_comes_back_as_it_was(model: Any, checkpointing: bool) -> None:
    model.train()
    model.lm_head.eval()
    model.config.use_cache = False
    if checkpointing:
        model.gradient_checkpointing_enable()
    before = [(m.training, getattr(m, "gradient_checkpointing", None)) for m in model.modules()]
    generate_completions(model, PROMPTS, GREEDY)
    after = [(m.training, getattr(m, "gradient_checkpointing", None)) for m in model.modules()]
    assert after == before
    assert model.config.use_cache is False
    model(torch.tensor([PROMPTS[0]])).logits.sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())
