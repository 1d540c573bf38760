"""What a rank's completions are scored with: rendered prompts decide whether they are thoughts already."""

from pathlib import Path
from typing import Any

import pytest

from opensloth_core.config.methods import GrpoArguments
from opensloth_core.training.grpo.scoring import Scorer

TEMPLATE = "{% for m in messages %}<|user|>{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}"


@pytest.mark.parametrize(
    ("header", "is_thinking"),
    [
        ("<|assistant|><think>\n", True),
        ("<|assistant|><think>", True),
        ("<|assistant|><think>\n\n</think>\n\n", False),
        ("<|assistant|>\n", False),
        ("", False),  # what ends there is the user's text
    ],
)
def test_a_template_that_opens_the_thought_has_its_completions_scored_as_thoughts(
    header: str, is_thinking: bool, tiny_model_dir: Path
) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    tokenizer.chat_template = f"{TEMPLATE}{header}{{% endif %}}"
    messages = [{"role": "user", "content": "Think between <think> and </think>."}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    prompt = tokenizer.encode(text, add_special_tokens=False)
    texts = ["2 plus 2 is 4, I think.</think>\n4", "<think>2 plus 2</think>4", "The answer is 4. Or"]
    row: dict[str, Any] = {"prompt": messages, "answer": "4"}
    scorer = Scorer(GrpoArguments.of({"reward": ["format", "math"]}), tokenizer)
    scored = scorer([row] * 3, [prompt] * 3, texts, [9, 9, 9], [True, True, False])
    assert scored.scores["format"] == ([1.0, 0.0, 0.0] if is_thinking else [0.0, 1.0, 0.0])
    assert scored.scores["math"] == ([1.0, 1.0, 0.0] if is_thinking else [1.0, 1.0, 1.0])
