"""The demo's questions are held out, and its rows and expectations are well formed."""

import importlib.resources
import json

import pytest

from opensloth_core.demo.answers import Question, held_out_questions

MAX_JACCARD = 0.8


def training_messages() -> list[list[dict[str, str]]]:
    """The conversations of `train.jsonl`."""
    source = importlib.resources.files("opensloth_core.demo") / "train.jsonl"
    lines = source.read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["messages"] for line in lines]


def training_texts(role: str) -> list[str]:
    """What `role` says in `train.jsonl`."""
    return [
        message["content"]
        for messages in training_messages()
        for message in messages
        if message["role"] == role
    ]


def words(text: str) -> list[str]:
    """The lower-cased letters and digits of `text`, word by word."""
    kept = (char if char.isalnum() or char.isspace() else "" for char in text.lower())
    return "".join(kept).split()


def jaccard(left: str, right: str) -> float:
    """Shared words over all words of two texts."""
    left_words, right_words = set(words(left)), set(words(right))
    return len(left_words & right_words) / len(left_words | right_words)


def test_jaccard_of_three_shared_words_among_four_is_three_quarters() -> None:
    assert jaccard("Where do you live?", "where, do you") == 0.75


def test_there_are_twenty_different_questions() -> None:
    assert len({question.text for question in held_out_questions()}) == 20


@pytest.mark.parametrize("question", held_out_questions(), ids=lambda question: question.text)
def test_no_question_was_trained_on(question: Question) -> None:
    for trained in training_texts("user"):
        assert words(question.text) != words(trained)
        assert jaccard(question.text, trained) < MAX_JACCARD, trained


@pytest.mark.parametrize("question", held_out_questions(), ids=lambda question: question.text)
def test_a_question_does_not_give_its_own_answer_away(question: Question) -> None:
    assert not question.is_answered_by(question.text)


@pytest.mark.parametrize("question", held_out_questions(), ids=lambda question: question.text)
def test_the_expected_fact_is_in_a_trained_answer(question: Question) -> None:
    assert any(question.is_answered_by(answer) for answer in training_texts("assistant"))


def test_all_needs_every_string_and_any_needs_one() -> None:
    question = Question("?", expect_all=("slow", "smooth"), expect_any=("sft", "supervised"))

    assert question.is_answered_by("SLOW is smooth, says SFT")
    assert not question.is_answered_by("slow says sft")
    assert not question.is_answered_by("slow is smooth")


def test_every_row_alternates_user_and_assistant_and_ends_with_the_assistant() -> None:
    for messages in training_messages():
        roles = [message["role"] for message in messages]
        assert roles == ["user", "assistant"] * (len(messages) // 2)
        assert all(message["content"].strip() == message["content"] for message in messages)


def test_no_single_turn_question_has_two_rows() -> None:
    asked = [messages[0]["content"] for messages in training_messages() if len(messages) == 2]
    assert len(set(asked)) == len(asked)
