"""What a chat template does, found by rendering small conversations with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from opensloth_core.data.example import Message, Tool
from opensloth_core.data.render.compiled import CompiledTemplate
from opensloth_core.data.row import RowError
from opensloth_core.errors import ModelError

_QUESTION, _ANSWER = "a question 5d1f", "an answer 8c3e"
_THOUGHT, _RESULT = "a thought 2b7a", "a result 3c9d"
_CALL_ID = "a1b2c3d4e"  # Mistral's templates want nine letters or digits

_USER: Message = {"role": "user", "content": _QUESTION}
_ASSISTANT: Message = {"role": "assistant", "content": _ANSWER}
_TOOL_NAME, _KEY, _VALUE = "probe_tool_7d", "probe_key", "probe value 9e"
_TOOL_RESULT: Message = {
    "role": "tool",
    "name": _TOOL_NAME,
    "tool_call_id": _CALL_ID,
    "content": _RESULT,
}
_TOOL: Tool = {
    "type": "function",
    "function": {
        "name": _TOOL_NAME,
        "description": "Probes.",
        "parameters": {
            "type": "object",
            "properties": {_KEY: {"type": "string", "description": "A key."}},
            "required": [_KEY],
        },
    },
}


@dataclass(frozen=True, slots=True)
class Traits:
    """How conversations must be handed to a template, and what it has no words for."""

    writes_header: bool
    """Whether text before an answer is that of `add_generation_prompt`, or there is none."""

    header: str
    """What `add_generation_prompt` adds behind a user's turn."""

    closing: str
    """What it writes once, behind a conversation that ends with an answer (Phi-3's end of text)."""

    thinking_key: str
    """The message key whose thinking it renders; `content` where it wants <think> tags; empty for none."""

    arguments: Literal["object", "json", ""]
    """How it takes the arguments of tool calls; empty when it renders no tool calls and results."""

    tools: bool
    """Whether it renders the tools of a conversation."""


def find_traits(
    template: CompiledTemplate,
    for_tools: CompiledTemplate,
    variant: CompiledTemplate | None,
    eos_token: str,
    turn_ends: tuple[str, ...],
) -> Traits:
    """The traits of a template, its variant for conversations with tools, and its training variant."""
    with_tools = _text(for_tools, [_USER, _ASSISTANT], [_TOOL]) or ""
    return Traits(
        writes_header=_writes_header(template),
        header=_header(template),
        closing=_closing(template, eos_token, turn_ends),
        thinking_key=_thinking_key(template, for_tools, variant),
        arguments=_arguments(for_tools),
        tools=_TOOL_NAME in with_tools,
    )


def check_renders_text(template: CompiledTemplate, name: str) -> None:
    """Refuse templates of multimodal models that take contents as lists of parts only.

    Raises:
        ModelError: this is one.
    """
    messages = [_USER, _ASSISTANT]
    in_parts = [{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in messages]
    text = _text(template, messages)
    # It may want another conversation than this one; then its rows will say so.
    takes_text = _ANSWER in text and _QUESTION in text if text is not None else not _text(template, in_parts)
    if not takes_text:
        raise ModelError(
            f"{name}: its chat template leaves out contents that are plain text, as those of multimodal "
            "models do, which are not supported; give it a text-only chat_template.jinja"
        )


def _text(
    template: CompiledTemplate, messages: list[Message], tools: list[Tool] | None = None, header: bool = False
) -> str | None:
    try:
        return template.render(messages, tools, header)
    except RowError:
        return None


def _header(template: CompiledTemplate) -> str:
    asked, opened = _text(template, [_USER]), _text(template, [_USER], header=True)
    return opened[len(asked) :] if asked and opened and opened.startswith(asked) else ""


def _writes_header(template: CompiledTemplate) -> bool:
    whole = _text(template, [_USER, _ASSISTANT])
    asked, opened = _text(template, [_USER]), _text(template, [_USER], header=True)
    if whole is None or asked is None or opened is None:
        return "add_generation_prompt" in template.source
    if opened != asked:
        return True
    before_answer = whole[: whole.find(_ANSWER)]
    return before_answer.startswith(asked) and not before_answer[len(asked) :].strip()


def _closing(template: CompiledTemplate, eos_token: str, turn_ends: tuple[str, ...]) -> str:
    short = _text(template, [_USER, _ASSISTANT])
    long = _text(template, [_USER, _ASSISTANT, _USER, _ASSISTANT])
    if not eos_token or short is None or long is None or not short.endswith(eos_token):
        return ""
    turns = short.removesuffix(eos_token)
    is_apart = long.startswith(turns) and not long.startswith(short)
    return eos_token if is_apart and turns.rstrip().endswith(turn_ends) else ""


def _thinking_key(
    template: CompiledTemplate, for_tools: CompiledTemplate, variant: CompiledTemplate | None
) -> str:
    for key in ("reasoning_content", "thinking", "reasoning"):
        answering = _text(template, [_USER, {**_ASSISTANT, key: _THOUGHT}])
        # Some render thinking only where it leads to a tool call.
        calling = _text(for_tools, [_USER, {**_calling({_KEY: _VALUE}), key: _THOUGHT}, _TOOL_RESULT])
        if _THOUGHT in (answering or "") or _THOUGHT in (calling or ""):
            return key
    tagged = {**_ASSISTANT, "content": think_tags(_THOUGHT, _ANSWER)}
    return "content" if variant and _THOUGHT in (_text(variant, [_USER, tagged]) or "") else ""


def _arguments(template: CompiledTemplate) -> Literal["object", "json", ""]:
    forms: Mapping[Literal["object", "json"], Any] = {
        "object": {_KEY: _VALUE},
        "json": f'{{"{_KEY}": "{_VALUE}"}}',
    }
    for form, arguments in forms.items():
        text = _text(template, [_USER, _calling(arguments), _TOOL_RESULT, _ASSISTANT]) or ""
        if _TOOL_NAME in text and _VALUE in text and _RESULT in text:
            return form
    return ""


def _calling(arguments: Any) -> Message:
    call = {"type": "function", "id": _CALL_ID, "function": {"name": _TOOL_NAME, "arguments": arguments}}
    return {"role": "assistant", "content": "", "tool_calls": [call]}


def think_tags(thinking: str, answer: str) -> str:
    """Thinking and answer in one content, as DeepSeek-R1 writes them."""
    return f"<think>\n{thinking}\n</think>\n\n{answer}"
