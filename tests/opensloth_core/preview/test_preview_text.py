"""Previews as text show exactly what is trained."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from opensloth_core.preview.preview import Preview
from opensloth_core.preview.text import Colours, Marks, preview_text

MakePreview = Callable[..., Preview]

ROWS = [{"question": f"Q{n}?", "answer": "A" * (n + 1)} for n in range(6)]
PAIR = {"prompt": "Why?", "chosen": "Because.", "rejected": "No é."}


def shown(preview: Preview) -> str:
    return "\n".join(preview_text(preview, Marks()))


def without_borders(text: str) -> str:
    return text.replace("│", "")


def test_an_answer_and_its_end_token_are_marked_and_nothing_else(preview: MakePreview) -> None:
    text = without_borders(shown(preview(ROWS[:1], 1)))
    assert "<|im_start|>user⏎\nQ0?<|im_end|>⏎\n<|im_start|>assistant⏎\n⟦A<|im_end|>⟧⏎" in text
    assert text.count("⟦") == text.count("⟧") == 2  # once in the legend


def test_the_marked_text_is_what_the_shards_train(preview: MakePreview) -> None:
    made = preview(ROWS, 6)
    marked = re.findall(r"⟦(.*?)⟧", without_borders(shown(made)).split("newline\n")[1], re.DOTALL)
    assert sorted(marked) == sorted("A" * (n + 1) + "<|im_end|>" for n in range(6))


def test_a_pack_shows_its_borders_and_where_positions_restart(preview: MakePreview) -> None:
    made = preview(ROWS, 2)
    (unit, num_shown), *_ = made.units
    lengths = [len(parts[0]) for parts in unit.examples]
    assert num_shown == 2 and len(lengths) > 2
    text = shown(made)
    assert f"pack 1 of {made.num_units}: {len(lengths)} examples, {sum(lengths)} of 192 tokens" in text
    assert f"example 1 of {len(lengths)}: tokens 0-{lengths[0] - 1}, positions 0-" in text
    second = f"tokens {lengths[0]}-{lengths[0] + lengths[1] - 1}, positions restart 0-{lengths[1] - 1},"
    assert second in text
    assert f"and {len(lengths) - 2} more example" in text
    bar = next(line for line in text.splitlines() if line.startswith("│"))
    assert bar.count("│") == len(lengths) + 1 and len(bar) <= 80


def test_more_examples_than_a_pack_holds_come_from_the_next_packs(preview: MakePreview) -> None:
    made = preview(ROWS, 6, max_seq_length=64)
    assert len(made.units) > 1
    assert sum(num_shown for _, num_shown in made.units) == 6


def test_more_examples_than_there_are_show_all(preview: MakePreview) -> None:
    assert sum(num_shown for _, num_shown in preview(ROWS, 100).units) == 6


def test_a_pair_shows_its_prompt_and_both_answers(preview: MakePreview) -> None:
    text = without_borders(shown(preview([PAIR], method="dpo")))
    assert "pair 1 of 1:" in text
    prompt, rest = text.split("\nchosen: ")
    chosen, rejected = rest.split("\nrejected: ")
    assert "Why?<|im_end|>⏎\n<|im_start|>assistant⏎" in prompt
    assert "⟦Because.<|im_end|>" in chosen and "⟦No ⟨c3⟩é.<|im_end|>" in rejected


def test_a_prompt_shows_the_columns_that_rewards_read(preview: MakePreview) -> None:
    row = {"prompt": "2 + 2?", "solution": "\x1b[31m4", "level": 3}
    text = shown(preview([row], method="grpo"))
    assert "prompt 1 of 1:" in text
    assert 'solution = "\\u001b[31m4"' in text and "level = 3" in text
    assert "\x1b" not in text


def test_what_data_says_cannot_steer_the_terminal(preview: MakePreview) -> None:
    text = shown(preview([{"question": "\x1b[2J\x07", "answer": "\x9b31m\u202e"}]))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)


def test_colours_end_with_their_line_and_tell_trained_from_not(preview: MakePreview) -> None:
    lines = "\n".join(preview_text(preview([{"question": "q", "answer": "a\nb"}]), Colours())).split("\n")
    for line in lines:
        assert not line.count("\x1b[") or line.rindex("\x1b[0m") == line.rindex("\x1b[")
    trained = [piece for line in lines for piece in re.findall(r"\x1b\[30;[0-9;]*m([^\x1b]*)", line)]
    assert "".join(trained).removeprefix(" trained ") == "a⏎b<|im_end|>"


@pytest.mark.parametrize("eval_size", [None, 1])
def test_previews_show_what_is_left_to_train_only(preview: MakePreview, eval_size: Any) -> None:
    made = preview(ROWS, 100, **({"eval_size": eval_size} if eval_size else {}))
    assert sum(num_shown for _, num_shown in made.units) == made.manifest.ledger.examples
