"""What a row of input becomes once its layout is understood: one kind for each thing that is trained.

Messages are those of chat templates: `{"role": "system" | "user" | "assistant" | "tool", "content": str}`,
where an assistant's may also have `tool_calls` (a list of `{"type": "function", "function": {"name": str,
"arguments": dict}}`, with `id` where the data has one) and `reasoning_content`, and a tool's `name` and
`tool_call_id`.
"""

from dataclasses import dataclass, field
from typing import Any

Message = dict[str, Any]
Tool = dict[str, Any]
"""A function's JSON schema, as chat templates take it."""


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation for SFT, with at least one assistant turn."""

    messages: list[Message]
    tools: list[Tool] | None = None
    untrained: frozenset[int] = field(default_factory=frozenset)
    """Indices of assistant turns that the data marks as not to be trained (weight 0)."""


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text for SFT, trained whole."""

    text: str


@dataclass(frozen=True, slots=True)
class Preference:
    """A pair for DPO: two answers to one prompt, which does not end with an assistant turn."""

    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]
    tools: list[Tool] | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt for GRPO, and the columns its rewards read."""

    prompt: list[Message]
    columns: dict[str, Any]
    tools: list[Tool] | None = None


Example = Chat | Text | Preference | Prompt
