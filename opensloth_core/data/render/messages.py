"""Messages in the form that one template takes them, or why it cannot."""

import json
from typing import Any

from opensloth_core.data.example import Message, Tool
from opensloth_core.data.render.traits import Traits, think_tags
from opensloth_core.data.row import RowError

NO_TOOLS = "the chat template does not render tools"
NO_CALLS = "the chat template does not render tool calls"
NO_THINKING = "the chat template does not render thinking"

_THINKING = "reasoning_content"


def as_template_takes_them(
    messages: list[Message], tools: list[Tool] | None, traits: Traits
) -> list[Message]:
    """The messages, with thinking under the template's key and arguments in its form.

    Raises:
        RowError: the template would pass over the tools, tool calls or thinking of the row.
    """
    if tools and not traits.tools:
        raise RowError(NO_TOOLS, "leave the tools column out, or take a model whose template has tools")
    if all(len(message) == 2 and message["role"] != "tool" for message in messages):
        return messages
    return [_taken(message, index, traits) for index, message in enumerate(messages)]


def _taken(message: Message, index: int, traits: Traits) -> Message:
    message = dict(message)
    if _THINKING in message and (
        message[_THINKING] is None or message[_THINKING] == traits.thinking_key == ""
    ):
        del message[_THINKING]
    if message["role"] == "tool" and not traits.arguments:
        raise RowError(
            NO_CALLS, f"turn {index + 1} is a tool's result; take a model whose template has tools"
        )
    if message.get("tool_calls"):
        if not traits.arguments:
            raise RowError(NO_CALLS, f"turn {index + 1} calls a tool; take a model whose template has tools")
        if traits.arguments == "json":
            message["tool_calls"] = [_with_json_arguments(call) for call in message["tool_calls"]]
    if _THINKING in message:
        if not traits.thinking_key:
            raise RowError(
                NO_THINKING, f"turn {index + 1} thinks; take the thinking out, or a thinking model"
            )
        thinking = message.pop(_THINKING)
        if traits.thinking_key == "content":
            message["content"] = think_tags(thinking.strip(), message.get("content") or "")
        else:
            message[traits.thinking_key] = thinking
    return message


def _with_json_arguments(call: dict[str, Any]) -> dict[str, Any]:
    arguments = call["function"]["arguments"]
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {**call, "function": {**call["function"], "arguments": text}}
