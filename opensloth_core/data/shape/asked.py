"""What a row asks the model: its messages before the answer, and its system prompt."""

from typing import Any

from opensloth_core.data.row import RowError
from opensloth_core.data.shape.fits import Columns
from opensloth_core.data.shape.json_value import parse, type_name
from opensloth_core.data.shape.layout import Layout
from opensloth_core.data.shape.message import Message, message
from opensloth_core.data.shape.reasons import NOT_A_TURN, TWO_SYSTEM_PROMPTS
from opensloth_core.data.shape.turns import TurnFormat, Turns, turns

_LISTS = ("messages", "conversations")


def asked(row: Columns, layout: Layout) -> Turns:
    """The turns of the column that the shape names first, without the system column."""
    name, column = layout.names[0], layout.required[0]
    if name == "instruction":
        return _instruction(row, layout)
    if name in _LISTS:
        return turns(row[column], column, layout.form)
    return text_or_turns(row[column], "user", column, layout.form)


def text_or_turns(value: Any, role: str, place: str, form: TurnFormat) -> Turns:
    """Text as one message of the role, one turn or a list of turns as they are."""
    if type(value) is str:
        return Turns([message(role, value, place)])
    return turns([value] if isinstance(value, dict) else value, place, form)


def with_system(row: Columns, layout: Layout, parsed: Turns) -> Turns:
    """The turns after the message of the system column, if the row has one.

    Raises:
        RowError: they begin with another system message.
    """
    system = layout.value(row, "system")
    if not system:
        return parsed
    first = message("system", system, "system")
    if not parsed.messages or parsed.messages[0]["role"] != "system":
        return Turns([first, *parsed.messages], [index + 1 for index in parsed.untrained])
    if parsed.messages[0] != first:
        raise RowError(TWO_SYSTEM_PROMPTS, "the system column differs from the first turn")
    return parsed


def _instruction(row: Columns, layout: Layout) -> Turns:
    """History, then instruction and input as one user message.

    Source: instruction and input are joined by one newline as in LLaMA-Factory,
        https://github.com/hiyouga/LLaMA-Factory/blob/v0.9.3/src/llamafactory/data/converter.py
    """
    parts = [(layout.value(row, name), name) for name in ("instruction", "input")]
    given = [part for part in parts if not _is_blank(part[0])] or parts[:1]
    text = "\n".join(message("user", value, name)["content"] for value, name in given)
    parsed = _history(layout.value(row, "history"), layout.form)
    parsed.messages.append({"role": "user", "content": text})
    return parsed


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _history(value: Any, form: TurnFormat) -> Turns:
    """Pairs of a question and its answer, or turns; they are trained as any others."""
    if not value:
        return Turns([])
    pairs = parse(value, NOT_A_TURN, "history") if isinstance(value, str) else value
    if not isinstance(pairs, list):
        raise RowError(NOT_A_TURN, f"history is {type_name(pairs)}")
    if pairs and isinstance(pairs[0], dict):
        return turns(pairs, "history", form)
    if any(not isinstance(pair, list) or len(pair) != 2 for pair in pairs):
        raise RowError(NOT_A_TURN, "history is no list of [question, answer] pairs")
    messages: list[Message] = [
        message(role, content, f"history[{index}]")
        for index, pair in enumerate(pairs)
        for role, content in zip(("user", "assistant"), pair, strict=True)
    ]
    return Turns(messages)
