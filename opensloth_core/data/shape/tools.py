"""Tools and calls of them, in the one form that chat templates take."""

from functools import lru_cache
from typing import Any

from opensloth_core.data.example import Tool
from opensloth_core.data.row import RowError
from opensloth_core.data.shape.json_value import checked, parse, type_name, without_nulls
from opensloth_core.data.shape.reasons import BAD_TOOL_CALL, BAD_TOOLS

# Rows of one file share their tools; a longer text costs more to keep than to read again.
_MAX_CACHED_CHARS = 1 << 14
# Llama 3.1 writes its calls with parameters.
_ARGUMENT_KEYS = ("arguments", "parameters")


def tools(value: Any) -> list[Tool] | None:
    """The schemas of a `tools` column: a list or JSON text of one; None where there are none.

    The list may be shared between rows, so it is not to be changed.

    Raises:
        RowError: it is no list of named functions.
    """
    if not value or value == "[]":
        return None
    if isinstance(value, str):
        return _text_tools(value) if len(value) <= _MAX_CACHED_CHARS else _text_tools.__wrapped__(value)
    return _schemas(without_nulls(checked(value, BAD_TOOLS, "tools")))


@lru_cache(maxsize=256)
def _text_tools(text: str) -> list[Tool] | None:
    return _schemas(parse(text, BAD_TOOLS, "tools")) if text.strip() else None


def _schemas(value: Any) -> list[Tool] | None:
    if not value:
        return None
    listed = [value] if isinstance(value, dict) else value
    if not isinstance(listed, list):
        raise RowError(BAD_TOOLS, f"tools is {type_name(value)}")
    return [_schema(tool, f"tools[{index}]") for index, tool in enumerate(listed)]


def _schema(value: Any, place: str) -> Tool:
    tool = parse(value, BAD_TOOLS, place) if isinstance(value, str) else value
    if not isinstance(tool, dict):
        raise RowError(BAD_TOOLS, f"{place} is {type_name(tool)}")
    function = tool.get("function")
    if function is None:
        function = {key: member for key, member in tool.items() if key != "type"}
    _check_name(function, BAD_TOOLS, place)
    return {"type": "function", "function": function}


def tool_calls(value: Any, place: str) -> list[dict[str, Any]]:
    """The calls of an assistant turn: objects with name and arguments, one or a list, also as JSON text.

    Null members of arguments are left out where the arguments are an object (see `without_nulls`),
    and kept where they are JSON text.

    Raises:
        RowError: there is none, or one has no name or no readable arguments.
    """
    calls = parse(value, BAD_TOOL_CALL, place) if isinstance(value, str) else value
    listed = [calls] if isinstance(calls, dict) else calls
    if not isinstance(listed, list) or not listed:
        raise RowError(BAD_TOOL_CALL, f"{place} is {type_name(calls)}, not a call or a list of them")
    return [
        _tool_call(call, f"{place}[{index}]" if len(listed) > 1 else place, isinstance(value, str))
        for index, call in enumerate(listed)
    ]


def _tool_call(call: Any, place: str, keep_nulls: bool) -> dict[str, Any]:
    if not isinstance(call, dict):
        raise RowError(BAD_TOOL_CALL, f"{place} is {type_name(call)}")
    function = call if call.get("function") is None else call["function"]
    name = _check_name(function, BAD_TOOL_CALL, place)
    key = next((key for key in _ARGUMENT_KEYS if key in function), None)
    if key is None:
        raise RowError(BAD_TOOL_CALL, f"{place} has no arguments")
    arguments = _arguments(function[key], f"{place} {key}", keep_nulls)
    tool_call = {"type": "function", "function": {"name": name, "arguments": arguments}}
    identity = call.get("id")
    return {"id": identity, **tool_call} if isinstance(identity, str) and identity else tool_call


def _arguments(value: Any, place: str, keep_nulls: bool) -> dict[str, Any]:
    if value is None or (isinstance(value, str) and not value.strip()):
        return {}
    if isinstance(value, str):
        value, keep_nulls = parse(value, BAD_TOOL_CALL, place), True
    if not isinstance(value, dict):
        raise RowError(BAD_TOOL_CALL, f"{place} is {type_name(value)}")
    checked(value, BAD_TOOL_CALL, place)
    return value if keep_nulls else without_nulls(value)


def _check_name(function: Any, reason: str, place: str) -> str:
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or not name.strip():
        raise RowError(reason, f"{place} has no name")
    return name
