"""Any row of a known shape as messages: `[{"role": "user", "content": ...}, ...]`."""

from collections.abc import Callable
from typing import Any

from opensloth_core.data.row import RowError
from opensloth_core.data.shape.layout import Columns, Shape, describe_columns, matching_shapes, other_method
from opensloth_core.data.shape.message import MULTIMODAL, NOT_A_TURN, TOOLS, Message, message, turns

WRONG_COLUMNS = "columns do not fit the file's shape"
OTHER_METHOD = "row of another training method"
NO_ASSISTANT = "no assistant turn"
OPEN_END = "does not end with an assistant turn"
TWO_SYSTEM_PROMPTS = "two system prompts"

_MEDIA_COLUMNS = ("images", "image", "videos", "audios")
_EMPTY_TOOLS: tuple[Any, ...] = (None, "", "[]", "{}", [], {})


def normalise(row: Columns, shape: Shape) -> list[Message]:
    """The messages of a row.

    Raises:
        RowError: the row has other columns than its file, or its conversation cannot be used
            for SFT: no text, no assistant turn, turns after the last assistant turn, tools, media.
    """
    if reason := other_method(row):
        raise RowError(OTHER_METHOD, reason)
    if matching_shapes(row) != [shape]:
        raise RowError(WRONG_COLUMNS, f"found: {describe_columns(row)}; the file has {shape}")
    if row.get("tools") not in _EMPTY_TOOLS:
        raise RowError(TOOLS, "the row has tools")
    for column in _MEDIA_COLUMNS:
        if row.get(column):
            raise RowError(MULTIMODAL, f"the row has {column}")
    messages = _with_system(row, _CONVERSATION[shape](row))
    if all(turn["role"] != "assistant" for turn in messages):
        raise RowError(NO_ASSISTANT)
    if messages[-1]["role"] != "assistant":
        raise RowError(OPEN_END, f"the last turn is {messages[-1]['role']}")
    return messages


def _with_system(row: Columns, messages: list[Message]) -> list[Message]:
    system = row.get("system")
    if not system:
        return messages
    first = message("system", system, "system")
    if messages[0]["role"] != "system":
        return [first, *messages]
    if messages[0] != first:
        raise RowError(TWO_SYSTEM_PROMPTS, "the system column differs from the first turn")
    return messages


def _messages(row: Columns) -> list[Message]:
    return turns(row["messages"], "messages")


def _conversations(row: Columns) -> list[Message]:
    return turns(row["conversations"], "conversations")


def _alpaca(row: Columns) -> list[Message]:
    """History, then instruction and input as one user turn, then output.

    Source: instruction and input are joined by one newline as in LLaMA-Factory,
        https://github.com/hiyouga/LLaMA-Factory/blob/v0.9.3/src/llamafactory/data/converter.py
    """
    asked, extra = row["instruction"], row.get("input")
    if extra:
        extra = message("user", extra, "input")["content"]
        asked = f"{asked}\n{extra}" if asked else extra
    return [
        *_history(row.get("history")),
        message("user", asked, "instruction"),
        message("assistant", row["output"], "output"),
    ]


def _history(value: Any) -> list[Message]:
    if not value:
        return []
    if not isinstance(value, list) or any(not isinstance(pair, list) or len(pair) != 2 for pair in value):
        raise RowError(NOT_A_TURN, "history is no list of [question, answer] pairs")
    return [
        message(role, content, f"history[{index}]")
        for index, pair in enumerate(value)
        for role, content in zip(("user", "assistant"), pair, strict=True)
    ]


def _prompt_completion(row: Columns) -> list[Message]:
    return [*_part(row, "prompt", "user"), *_part(row, "completion", "assistant")]


def _part(row: Columns, column: str, role: str) -> list[Message]:
    value = row[column]
    return turns(value, column) if isinstance(value, list) else [message(role, value, column)]


def _question_answer(row: Columns) -> list[Message]:
    return [
        message("user", row["question"], "question"),
        message("assistant", row["answer"], "answer"),
    ]


_CONVERSATION: dict[Shape, Callable[[Columns], list[Message]]] = {
    Shape.MESSAGES: _messages,
    Shape.CONVERSATIONS: _conversations,
    Shape.ALPACA: _alpaca,
    Shape.PROMPT_COMPLETION: _prompt_completion,
    Shape.QUESTION_ANSWER: _question_answer,
}
