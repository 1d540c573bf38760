"""Whether a template wrote all of a turn: what it leaves out would be lost without a word."""

from opensloth_core.data.example import Message
from opensloth_core.data.render.reader import Reader


def missing_part(message: Message, text: str, thinking_key: str, reader: Reader) -> str:
    """What of a turn is not in a text: "content", "thinking", "tool call", or nothing.

    Looked for one after another, so that an answer that repeats the thinking does not pass for it.
    """
    place = 0
    if thinking_key not in ("", "content") and message.get(thinking_key):
        place = reader.find(text, message[thinking_key], place)
        if place < 0:
            return "thinking"
    content = message.get("content")
    if content is not None:
        place = reader.find(text, content, place)
        if place < 0:
            return "content"
    calls = message.get("tool_calls") or ()
    return "" if all(call["function"]["name"] in text[place:] for call in calls) else "tool call"
