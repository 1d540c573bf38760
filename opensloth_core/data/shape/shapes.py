"""The shapes that data of each method may have, as one table."""

from enum import StrEnum
from typing import Final

from opensloth_core.config.data import Method


class Shape(StrEnum):
    """A known layout of columns; the value is what a row of it must have, in our names."""

    MESSAGES = "messages"
    CONVERSATIONS = "conversations"
    ALPACA = "instruction, output"
    PROMPT_COMPLETION = "prompt, completion"
    QUESTION_ANSWER = "question, answer"
    TEXT = "text"

    PROMPT_PAIR = "prompt, chosen, rejected"
    QUESTION_PAIR = "question, chosen, rejected"
    INSTRUCTION_PAIR = "instruction, chosen, rejected"
    MESSAGES_PAIR = "messages, chosen, rejected"
    CONVERSATIONS_PAIR = "conversations, chosen, rejected"
    PAIR = "chosen, rejected"

    PROMPT = "prompt"
    QUESTION = "question"
    INSTRUCTION = "instruction"

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns that a row must have."""
        return tuple(self.value.split(", "))

    @property
    def optional(self) -> tuple[str, ...]:
        """Names of the columns that are read where a row has them."""
        if self is Shape.TEXT:
            return ()
        return (
            ("system", "tools", "input", "history") if "instruction" in self.required else ("system", "tools")
        )


TIERS: Final[dict[Method, tuple[tuple[Shape, ...], ...]]] = {
    "sft": (
        (
            Shape.MESSAGES,
            Shape.CONVERSATIONS,
            Shape.ALPACA,
            Shape.PROMPT_COMPLETION,
            Shape.QUESTION_ANSWER,
        ),
        # Beside a conversation, text is that conversation rendered (as in the first Alpaca).
        (Shape.TEXT,),
    ),
    "dpo": (
        (Shape.PROMPT_PAIR, Shape.QUESTION_PAIR, Shape.INSTRUCTION_PAIR),
        # Beside a prompt, messages are the prompt with the chosen answer (as in UltraFeedback).
        (Shape.MESSAGES_PAIR, Shape.CONVERSATIONS_PAIR),
        (Shape.PAIR,),
    ),
    "grpo": (
        (Shape.PROMPT,),
        # Beside a prompt, they are what the prompt was made from.
        (Shape.MESSAGES, Shape.CONVERSATIONS, Shape.QUESTION, Shape.INSTRUCTION),
    ),
}
"""Each method's shapes; one that fits makes those of later tiers not count, two of one tier are ambiguous."""


def accepted(method: Method) -> str:
    """The method's shapes on one line, for messages."""
    return " | ".join(shape for tier in TIERS[method] for shape in tier)
