"""A row for DPO as a prompt and two answers."""

from opensloth_core.data.example import Message, Preference
from opensloth_core.data.row import RowError
from opensloth_core.data.shape.asked import asked, text_or_turns, with_system
from opensloth_core.data.shape.fits import Columns
from opensloth_core.data.shape.layout import Layout
from opensloth_core.data.shape.reasons import (
    BAD_WEIGHT,
    NO_COMMON_PROMPT,
    NOT_AN_ANSWER,
    OPEN_END,
    OTHER_PROMPT,
    PROMPT_ANSWERED,
    SAME_ANSWERS,
)
from opensloth_core.data.shape.shapes import Shape
from opensloth_core.data.shape.tools import tools
from opensloth_core.data.shape.turns import Turns, turns

_WAY_OUT = "to take what they share, name them alone: --map chosen=… --map rejected=…"


def preference(row: Columns, layout: Layout) -> Preference:
    """The pair of a row.

    Answers may be whole conversations: without a prompt column what they share is the prompt, with one
    they must share it (UltraFeedback repeats the prompt in both answers):

        chosen   [user A, assistant B, user C, assistant D]
        rejected [user A, assistant B, user C, assistant E]
        prompt   [user A, assistant B, user C]

    Raises:
        RowError: it cannot be used: no prompt, an answer that is none, twice the same answer.
    """
    chosen, rejected = _side(row, layout, "chosen"), _side(row, layout, "rejected")
    if chosen.messages == rejected.messages:
        raise RowError(SAME_ANSWERS)
    prompt = Turns([]) if layout.shape is Shape.PAIR else asked(row, layout)
    num_shared = 0
    if any(_is_whole(side.messages, prompt.messages) for side in (chosen, rejected)):
        num_shared = _num_shared(chosen.messages, rejected.messages)
        shared = chosen.messages[:num_shared]
        if not _holds(shared, prompt.messages):
            raise RowError(OTHER_PROMPT, _WAY_OUT)
        prompt = Turns(shared)
    prompt = with_system(row, layout, prompt)
    if prompt.messages[-1]["role"] == "assistant":
        raise RowError(PROMPT_ANSWERED)
    return Preference(
        prompt.messages,
        _answer(chosen, num_shared, "chosen"),
        _answer(rejected, num_shared, "rejected"),
        tools(layout.value(row, "tools")),
    )


def _side(row: Columns, layout: Layout, name: str) -> Turns:
    column = layout.column[name]
    value = row[column]
    if layout.shape is Shape.PAIR:
        if isinstance(value, str) and not value.lstrip().startswith("["):
            raise RowError(NO_COMMON_PROMPT, f"{column} is text; without a prompt it must be a conversation")
        return turns(value, column, layout.form)
    return text_or_turns(value, "assistant", column, layout.form)


def _is_whole(messages: list[Message], prompt: list[Message]) -> bool:
    """Whether they are a conversation and no answer: the assistant may open both a prompt and its answer."""
    return messages[0]["role"] != "assistant" or messages[: len(prompt)] == prompt


def _num_shared(chosen: list[Message], rejected: list[Message]) -> int:
    """How many turns are the prompt of both: what they share, up to the last turn that is no assistant's."""
    shorter = min(len(chosen), len(rejected))
    num = next((index for index in range(shorter) if chosen[index] != rejected[index]), shorter)
    if num == shorter:
        raise RowError(NO_COMMON_PROMPT, "one of them is the beginning of the other")
    while num and chosen[num - 1]["role"] == "assistant":
        num -= 1
    if not num:
        raise RowError(NO_COMMON_PROMPT, "they differ from the first question on")
    return num


def _holds(shared: list[Message], prompt: list[Message]) -> bool:
    """Whether the prompt's turns are among the shared ones, but for blanks around them."""
    inner, outer = _bare(prompt), _bare(shared)
    starts = range(len(outer) - len(inner) + 1)
    return any(outer[start : start + len(inner)] == inner for start in starts)


def _bare(messages: list[Message]) -> list[tuple[str, str]]:
    return [(turn["role"], turn["content"].strip()) for turn in messages]


def _answer(side: Turns, start: int, name: str) -> list[Message]:
    messages = side.messages[start:]
    if messages[0]["role"] != "assistant":
        raise RowError(NOT_AN_ANSWER, f"{name} goes on with a {messages[0]['role']} turn")
    if messages[-1]["role"] != "assistant":
        raise RowError(OPEN_END, f"the last turn of {name} is {messages[-1]['role']}")
    if side.untrained and side.untrained[-1] >= start:
        raise RowError(BAD_WEIGHT, f"{name} has a turn of weight 0, but an answer is trained whole")
    return messages
