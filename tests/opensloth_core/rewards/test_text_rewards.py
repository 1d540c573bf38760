"""The rewards `format`, `length` and `exact`."""

from typing import Any

import pytest

from opensloth_core.errors import DataError
from opensloth_core.rewards.exact import check_exact_row, score_exact
from opensloth_core.rewards.format import score_format
from opensloth_core.rewards.length import score_length
from tests.opensloth_core.rewards.made_completions import completions_of

FORMATS = [
    ("<think>a</think>b", 1.0),
    ("<think>a</think><answer>b</answer>", 1.0),
    ("<think>\na\n</think>\n\n<answer>\nb\n</answer>\n", 1.0),
    (" \n<think>a</think> b", 1.0),
    ("<think>a < b > c</think>b < c", 1.0),
    ("<think>a</think>\\boxed{1}", 1.0),
    ("<think>a</think>", 0.0),
    ("<think>a</think> \n", 0.0),
    ("<think></think>b", 0.0),
    ("<think> \n </think>b", 0.0),
    ("<think>a</think><answer></answer>", 0.0),
    ("<think>a</think><answer> </answer>", 0.0),
    ("<think>a</think><answer>b", 0.0),
    ("<think>a</think>b</answer>", 0.0),
    ("<think>a</think>text <answer>b</answer>", 0.0),
    ("<think>a</think><answer>b</answer> text", 0.0),
    ("<think>a</think><answer>b</answer><answer>b</answer>", 0.0),
    ("<think>a</think><think>a</think>b", 0.0),
    ("<think>a<think>a</think>b", 0.0),
    ("<think>a</think>a</think>b", 0.0),
    ("<answer>b</answer><think>a</think>", 0.0),
    ("<answer>b</answer>", 0.0),
    ("<think><answer>b</answer></think>b", 0.0),
    ("<think>a</think></answer>b<answer>", 0.0),
    ("Let me see. <think>a</think>b", 0.0),
    ("<think>a", 0.0),
    ("a</think>b", 0.0),
    ("< think>a</think>b", 0.0),
    ("<THINK>a</THINK>b", 0.0),
    ("b", 0.0),
    ("", 0.0),
]


@pytest.mark.parametrize(("text", "expected"), FORMATS)
def test_the_format_is_one_thought_and_then_one_answer(text: str, expected: float) -> None:
    assert score_format(completions_of([text])) == [expected]


def test_a_thought_that_the_prompt_begins_is_not_begun_again() -> None:
    texts = ["2 plus 2 is 4, I think.</think>\n4", "<think>a</think>b", "a</think>b</think>c", "a"]
    assert score_format(completions_of(texts, is_thinking=[True] * 4)) == [1.0, 0.0, 0.0, 0.0]
    assert score_format(completions_of(texts)) == [0.0, 1.0, 0.0, 0.0]


def test_what_is_said_within_a_thought_that_the_prompt_begins_is_no_answer() -> None:
    texts = ["7", "<answer>7</answer>", "5</think>7", "7</think>5"]
    completions = completions_of(texts, is_thinking=[True] * 4, answer=["7"] * 4)
    assert score_exact(completions) == [0.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("num_tokens", "is_finished", "expected"),
    # The limit is 100, so the reward falls from 80 tokens on, by 1/20 a token.
    [
        (0, True, 1.0),
        (79, True, 1.0),
        (80, True, 1.0),
        (81, True, 0.95),
        (90, True, 0.5),
        (99, True, 0.05),
        (100, True, 0.0),
        (100, False, 0.0),
        (10, False, 0.0),
    ],
)
def test_the_length_reward_falls_over_the_last_fifth(
    num_tokens: int, is_finished: bool, expected: float
) -> None:
    completions = completions_of(["a"], num_tokens=[num_tokens], is_finished=[is_finished], max_tokens=100)
    assert score_length(completions) == [pytest.approx(expected)]


def test_the_length_reward_is_the_paper_s_plus_1() -> None:
    # arXiv:2503.14476: expected length 16,384 and a cache of 4,096 tokens.
    completions = completions_of(["a"], num_tokens=[18_432], max_tokens=20_480)
    assert score_length(completions) == [pytest.approx(1 + ((20_480 - 4_096) - 18_432) / 4_096)]


@pytest.mark.parametrize(
    ("text", "reference", "expected"),
    [
        ("Paris", "Paris", 1.0),
        (" paris.\n", "Paris", 1.0),
        ("**Paris**", "Paris", 1.0),
        ('"Paris"', "paris", 1.0),
        ("New  York", "new york", 1.0),
        ("<answer> Paris </answer>", "Paris", 1.0),
        ("It is <answer>Rome</answer>, no, <answer>Paris</answer>.", "Paris", 1.0),
        ("<think>Paris</think>Paris", "Paris", 1.0),
        ("<think>Paris</think>Rome", "Paris", 0.0),
        ("<think>Paris", "Paris", 0.0),
        ("The capital is Paris.", "Paris", 0.0),
        ("Paris or Rome", "Paris", 0.0),
        ("Par is", "Paris", 0.0),
        ("", "Paris", 0.0),
        ("42", 42, 1.0),
        ("42.0", 42, 0.0),
        ("\uff34\uff4f\uff4b\uff59\uff4f", "Tokyo", 1.0),
        ("STRASSE", "straße", 1.0),
        ("U.S.", "U.S.", 1.0),
        ("Rome", None, None),
    ],
)
def test_exact_compares_the_words_alone(text: str, reference: Any, expected: float | None) -> None:
    assert score_exact(completions_of([text], answer=[reference])) == [expected]


@pytest.mark.parametrize("reference", ["", " . ", ["a"], {"a": 1}])
def test_a_reference_without_words_is_named(reference: Any) -> None:
    with pytest.raises(DataError, match=r"reward exact: the reference .* is no text to compare with"):
        check_exact_row({"solution": reference})
    check_exact_row({"solution": None})
    check_exact_row({"solution": "a"})
