"""One turn of a conversation, as checked text: `{"role": ..., "content": ...}`."""

from collections.abc import Mapping
from typing import Any

from opensloth_core.data.row import RowError

Message = dict[str, str]

EMPTY = "empty content"
NOT_TEXT = "content is not text"
UNKNOWN_ROLE = "unknown role"
TOOLS = "tool turns are not supported yet"
MULTIMODAL = "only text is supported yet"
UNSUPPORTED_KEY = "a turn's setting is not supported yet"
NOT_A_TURN = "not a list of turns"

ROLES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
}
_TOOL_ROLES = {"tool", "function", "function_call", "tool_call", "observation", "tool_response", "ipython"}
_TOOL_KEYS = ("tool_calls", "function_call", "tool_call_id")
# They change what is trained or rendered, so passing over them would train something else.
_UNSUPPORTED_KEYS = ("reasoning_content", "reasoning", "thinking")
_TRAIN_KEYS = ("weight", "train")


def message(role: str, content: Any, place: str) -> Message:
    """A turn of one of our three roles.

    Args:
        place: what the content is called in the row, for the reason.

    Raises:
        RowError: the content is missing, empty or no text. A system turn may be empty: it
            switches off the default system prompt of some templates.
    """
    if isinstance(content, list):
        raise RowError(MULTIMODAL, f"{place} is a list of parts")
    if not isinstance(content, str):
        raise RowError(NOT_TEXT, f"{place} is {_type_name(content)}")
    if role != "system" and not content.strip():
        raise RowError(EMPTY, f"{place} is {'blank' if content else 'empty'}")
    return {"role": role, "content": content}


def turns(value: Any, column: str) -> list[Message]:
    """The messages of a column of role/content or from/value turns.

    Raises:
        RowError: the column is no list, or one of its turns cannot be used.
    """
    if not isinstance(value, list):
        raise RowError(NOT_A_TURN, f"{column} is {_type_name(value)}")
    if not value:
        raise RowError(EMPTY, f"{column} has no turns")
    return [_turn(turn, f"{column}[{index}]") for index, turn in enumerate(value)]


def _turn(turn: Any, place: str) -> Message:
    if not isinstance(turn, Mapping):
        raise RowError(NOT_A_TURN, f"{place} is {_type_name(turn)}")
    role_key, content_key = ("from", "value") if "from" in turn else ("role", "content")
    if role_key not in turn:
        raise RowError(NOT_A_TURN, f"{place} has neither role nor from")
    role = turn[role_key]
    if not isinstance(role, str):
        raise RowError(UNKNOWN_ROLE, f"{place} {role_key} is {_type_name(role)}")
    if role in _TOOL_ROLES:
        raise RowError(TOOLS, f"{place} is {role}")
    if any(turn.get(key) for key in _TOOL_KEYS):
        raise RowError(TOOLS, f"{place} calls a tool")
    if role not in ROLES:
        raise RowError(UNKNOWN_ROLE, f"{place} is {role[:40]!r}; known: {', '.join(ROLES)}")
    for key in _UNSUPPORTED_KEYS:
        if turn.get(key):
            raise RowError(UNSUPPORTED_KEY, f"{place} has {key}")
    for key in _TRAIN_KEYS:
        if turn.get(key, 1) in (0, False):
            raise RowError(UNSUPPORTED_KEY, f"{place} has {key} {turn[key]!r}")
    return message(ROLES[role], turn.get(content_key), f"{place} {content_key}")


def _type_name(value: Any) -> str:
    return "missing or null" if value is None else f"a {type(value).__name__}"
