"""A chat template, compiled: messages to text."""

import re
from collections.abc import Mapping
from typing import Any

from jinja2 import TemplateError

from opensloth_core.data.example import Message, Tool
from opensloth_core.data.render.chat_environment import MARK_END, MARK_START, chat_environment
from opensloth_core.data.render.rendered import Span
from opensloth_core.data.row import RowError
from opensloth_core.errors import ModelError

TEMPLATE_ERROR = "the chat template refuses the conversation"
RESERVED = "reserved character"
BAD_TAGS = "the chat template's {% generation %} tags are nested or filtered"

# What sandboxed Python in a template raises for a conversation that it does not expect.
RENDER_ERRORS = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    RecursionError,
)
_GENERATION_TAG = re.compile(r"\{%-?\s*generation\s*-?%\}")
_MARK = re.compile(f"([{MARK_START}{MARK_END}])")


class CompiledTemplate:
    """A template and the special tokens that it is rendered with.

    Raises:
        TemplateError: its source is no Jinja.
    """

    def __init__(self, source: str, special_tokens: Mapping[str, Any]) -> None:
        self.source = source
        self.special_tokens = special_tokens
        self.has_tags = bool(_GENERATION_TAG.search(source))
        self._template: Any = chat_environment().from_string(source)
        self._marked: Any = chat_environment(marks=True).from_string(source) if self.has_tags else None

    def render(self, messages: list[Message], tools: list[Tool] | None = None, header: bool = False) -> str:
        """The conversation as text, with `header` up to where the model would answer.

        Raises:
            RowError: the template refuses it, for instance because its roles must alternate.
        """
        return self._render(self._template, messages, tools, header)

    def tagged(self, messages: list[Message], tools: list[Tool] | None, text: str) -> list[Span]:
        """What `{% generation %}` tags mark in `text`, which is `render(messages, tools)`, in order.

        Raises:
            RowError: it cannot be told.
        """
        if MARK_START in text or MARK_END in text:
            raise RowError(RESERVED, "U+FDD0 or U+FDD1 in the text; remove it")
        parts = _MARK.split(self._render(self._marked, messages, tools, header=False))
        # Marks may have kept a filter outside of the tags from trimming, or been copied.
        if "".join(parts[::2]) != text or parts[1::2] != [MARK_START, MARK_END] * (len(parts) // 4):
            raise RowError(BAD_TAGS, "mend them in chat_template.jinja")
        spans, start = [], 0
        for index, part in enumerate(parts[::2]):
            if index % 2:
                spans.append((start, start + len(part)))
            start += len(part)
        return spans

    def _render(self, template: Any, messages: list[Message], tools: list[Tool] | None, header: bool) -> str:
        try:
            text: str = template.render(
                messages=messages,
                tools=tools,
                documents=None,
                add_generation_prompt=header,
                **self.special_tokens,
            )
        except RENDER_ERRORS as err:
            raise RowError(TEMPLATE_ERROR, one_line(err)) from err
        return text


def compiled(name: str, source: str, special_tokens: Mapping[str, Any]) -> CompiledTemplate:
    """The template of a tokenizer.

    Args:
        name: the model's folder, for the message.

    Raises:
        ModelError: it is no Jinja.
    """
    try:
        return CompiledTemplate(source, special_tokens)
    except TemplateError as err:
        raise ModelError(
            f"{name}: its chat template is broken: {one_line(err)}; "
            "take the model's own tokenizer or mend chat_template.jinja"
        ) from err


def one_line(err: Exception) -> str:
    """An error's message without line breaks, or its type's name where it has none."""
    return " ".join(str(err).split()) or type(err).__name__
