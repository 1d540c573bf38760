"""One message, checked: its content is text, its calls and reasoning are in the form of chat templates."""

import json
from typing import Any

from opensloth_core.data.example import Message as Message
from opensloth_core.data.row import RowError
from opensloth_core.data.shape.json_value import checked, shown, type_name
from opensloth_core.data.shape.names import CALL, REASONING_KEYS, TEXT_PARTS, WEIGHT_KEYS
from opensloth_core.data.shape.reasons import (
    BAD_TOOL_CALL,
    BAD_WEIGHT,
    EMPTY,
    MULTIMODAL,
    NOT_OF_ROLE,
    NOT_TEXT,
)
from opensloth_core.data.shape.tools import tool_calls

_MAY_BE_EMPTY = frozenset({"system", "tool"})


def message(role: str, content: Any, place: str) -> Message:
    """A message of text alone.

    Args:
        role: system, user, assistant or tool.
        content: text, or a list of parts that are all text; of a tool any JSON.
        place: what the content is called in the row, for the reason.

    Raises:
        RowError: the content is missing, empty or no text. A system message may be empty, since that
            switches off the default system prompt of some templates, and so may a tool's.
    """
    text = content if type(content) is str else _text(role, content, place)
    if (not text or text.isspace()) and role not in _MAY_BE_EMPTY:
        raise RowError(EMPTY, f"{place} is {'blank' if text else 'empty'}")
    return {"role": role, "content": text}


def turn_message(role: str, content: Any, turn: dict[str, Any], place: str) -> Message:
    """A message with all that a turn of a conversation may have beside its content.

    Args:
        role: system, user, assistant, tool, or `CALL` for a turn whose content is tool calls.
        turn: the turn, for its calls, reasoning, name and id.

    Raises:
        RowError: as for `message`; or its calls or reasoning cannot be read or are not an assistant's.
    """
    if role == CALL:
        return {"role": "assistant", "content": "", "tool_calls": tool_calls(content, place)}
    calls = _calls(turn, place)
    reasoning = _reasoning(turn, place)
    if role != "assistant":
        if calls or reasoning:
            raise RowError(NOT_OF_ROLE, f"{place} is {role} and has {'tool calls' if calls else 'reasoning'}")
        plain = message(role, content, f"{place} content")
        if role == "tool":
            plain |= {key: turn[key] for key in ("name", "tool_call_id") if _is_name(turn.get(key))}
        return plain
    if calls and (content is None or (isinstance(content, str) and not content.strip())):
        full: Message = {"role": role, "content": content or ""}
    else:
        full = message(role, content, f"{place} content")
    if reasoning:
        full["reasoning_content"] = reasoning
    if calls:
        full["tool_calls"] = calls
    return full


def is_untrained(turn: dict[str, Any], place: str) -> bool:
    """Whether a turn is marked as not to be trained (weight 0, train false).

    Raises:
        RowError: its weight is another one than 0 and 1.
    """
    untrained = False
    for key in WEIGHT_KEYS:
        weight = turn.get(key)
        if weight is None or (isinstance(weight, int | float) and weight == 1):
            continue
        if not isinstance(weight, int | float) or weight != 0:
            raise RowError(BAD_WEIGHT, f"{place} {key} is {shown(weight)}")
        untrained = True
    return untrained


def _text(role: str, content: Any, place: str) -> str:
    if isinstance(content, list) and content and all(_is_part(part) for part in content):
        return "".join(_part_text(part, place) for part in content)
    if role == "tool" and content is not None:
        return json.dumps(checked(content, NOT_TEXT, place), ensure_ascii=False)
    raise RowError(NOT_TEXT, f"{place} is {type_name(content)}")


def _is_part(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("type"), str)


def _part_text(part: dict[str, Any], place: str) -> str:
    if part["type"] not in TEXT_PARTS:
        raise RowError(MULTIMODAL, f"{place} has a part of type {shown(part['type'])}")
    if not isinstance(part.get("text"), str):
        raise RowError(NOT_TEXT, f"{place} has a text part whose text is {type_name(part.get('text'))}")
    return str(part["text"])


def _calls(turn: dict[str, Any], place: str) -> list[dict[str, Any]]:
    given = [key for key in ("tool_calls", "function_call") if turn.get(key)]
    if len(given) > 1:
        raise RowError(BAD_TOOL_CALL, f"{place} has both {' and '.join(given)}")
    return tool_calls(turn[given[0]], f"{place} {given[0]}") if given else []


def _reasoning(turn: dict[str, Any], place: str) -> str | None:
    for key in REASONING_KEYS:
        value = turn.get(key)
        if not value:
            continue
        if not isinstance(value, str):
            raise RowError(NOT_TEXT, f"{place} {key} is {type_name(value)}")
        if not value.isspace():
            return value
    return None


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
