"""Conversations as text, and which characters of the text are trained.

The text is what the tokenizer's own chat template renders. The trained characters are those the
model would generate: from the end of an assistant's header (what `add_generation_prompt` adds) to
the end of the turn's end token. They are found in one of two exact ways:

* the template marks them with `{% generation %}` tags; or
* rendering the conversation up to the turn, and up to and with the turn, gives two prefixes of the
  whole text, and the turn is what lies between them:

      render(messages)                                    <user>Hi<end><assistant>Hello<end>
      render(messages[:1], add_generation_prompt=True)    <user>Hi<end><assistant>
      trained                                                                     Hello<end>

A template that writes earlier turns differently once later ones follow (Qwen3 drops their thinking)
has no such prefixes. Its conversations are rejected, since any span would be a guess.
"""

import re
from typing import TYPE_CHECKING, Any

from opensloth_core.data.row import RowError
from opensloth_core.data.shape.message import Message
from opensloth_core.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Span = tuple[int, int]
"""Characters `[start, end)` of a text."""

TEMPLATE_ERROR = "the chat template refuses the conversation"
NO_SPANS = "the chat template hides where assistant turns begin or end"
RESERVED = "reserved character"

_WAY_OUT = (
    "give the tokenizer a chat template with {% generation %} tags (trl/chat_templates has some), "
    "or split the conversation so that one assistant turn is left"
)
_GENERATION_TAG = re.compile(r"\{%-?\s*generation\s*-?%\}")
# What sandboxed Python in a template raises for a conversation that it does not expect.
_RENDER_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)


class ChatTemplate:
    """A tokenizer's chat template.

    Raises:
        ModelError: the tokenizer has no template, or one that does not compile.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        from jinja2 import TemplateError

        from opensloth_core.data.render.chat_environment import chat_environment

        source = _template_source(tokenizer)
        self._errors = (TemplateError, *_RENDER_ERRORS)
        try:
            self._template = chat_environment().from_string(source)
            self._marked = chat_environment(marks=True).from_string(source)
        except TemplateError as err:
            raise ModelError(
                f"{tokenizer.name_or_path}: its chat template is broken: {_one_line(err)}; "
                "take the model's own tokenizer or mend chat_template.jinja"
            ) from err
        self._has_tags = bool(_GENERATION_TAG.search(source))
        self._has_header = "add_generation_prompt" in source
        self._special_tokens: dict[str, Any] = dict(tokenizer.special_tokens_map)
        self._eos_token = str(tokenizer.eos_token or "")
        self._turn_ends = tuple(
            {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
            | ({self._eos_token} if self._eos_token else set())
        )
        self._check_renders_strings(tokenizer.name_or_path)

    def render(self, messages: list[Message]) -> str:
        """The whole conversation as text.

        Raises:
            RowError: the template refuses it, for instance because its roles must alternate.
        """
        return self._render(self._template, messages)

    def spans(self, messages: list[Message], text: str) -> list[Span]:
        """The trained characters of `text`, which is `render(messages)`, in order.

        What `{% generation %}` tags mark is taken as it is marked, header or not.

        Raises:
            RowError: they cannot be established from this template.
        """
        spans = self._tagged_spans(messages, text) if self._has_tags else self._prefix_spans(messages, text)
        return [(start, end) for start, end in (self._trimmed(span, text) for span in spans) if start < end]

    def _check_renders_strings(self, name: str) -> None:
        """Templates of multimodal models pass over contents that are no list of parts."""
        question, answer = "a question 5d1f", "an answer 8c3e"
        probe = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        try:
            text = self.render(probe)
        except RowError:
            # It may want another conversation than this one; its rows will say so.
            return
        if question not in text or answer not in text:
            raise ModelError(
                f"{name}: its chat template leaves out contents that are plain text, as those of multimodal "
                "models do, which are not supported yet; give it a text-only chat_template.jinja"
            )

    def _render(self, template: Any, messages: list[Message], header: bool = False) -> str:
        try:
            text: str = template.render(
                messages=messages,
                tools=None,
                documents=None,
                add_generation_prompt=header,
                **self._special_tokens,
            )
        except self._errors as err:
            raise RowError(TEMPLATE_ERROR, _one_line(err)) from err
        return text

    def _tagged_spans(self, messages: list[Message], text: str) -> list[Span]:
        from opensloth_core.data.render.chat_environment import MARK_END, MARK_START

        if MARK_START in text or MARK_END in text:
            raise RowError(RESERVED, "U+FDD0 or U+FDD1 in the text; remove it")
        parts = re.split(f"([{MARK_START}{MARK_END}])", self._render(self._marked, messages))
        # Marks may have kept a filter outside of the tags from trimming, or been copied.
        if "".join(parts[::2]) != text or parts[1::2] != [MARK_START, MARK_END] * (len(parts) // 4):
            raise RowError(NO_SPANS, "its {% generation %} tags are nested or filtered; mend them")
        spans, start = [], 0
        for index, part in enumerate(parts[::2]):
            if index % 2:
                spans.append((start, start + len(part)))
            start += len(part)
        return spans

    def _prefix_spans(self, messages: list[Message], text: str) -> list[Span]:
        spans = []
        last = len(messages) - 1
        for index, turn in enumerate(messages):
            if turn["role"] != "assistant":
                continue
            before = self._render(self._template, messages[:index], header=True)
            through = text if index == last else self._render(self._template, messages[: index + 1])
            start, end = len(before), len(through)
            if not text.startswith(before) or not text.startswith(through) or start > end:
                raise RowError(NO_SPANS, f"turn {index + 1} is written differently; {_WAY_OUT}")
            if not self._has_header and not text[start:end].lstrip().startswith(turn["content"].strip()):
                raise RowError(NO_SPANS, f"it ignores add_generation_prompt; {_WAY_OUT}")
            spans.append((start, end))
        return spans

    def _trimmed(self, span: Span, text: str) -> Span:
        """The span up to its turn's end token, without the whitespace that the template adds after it."""
        start, end = span
        turn = text[start:end].rstrip()
        if turn.endswith(self._turn_ends):
            return start, start + len(turn)
        if self._eos_token and text.startswith(self._eos_token, end):
            return start, end + len(self._eos_token)
        return span


def _template_source(tokenizer: "PreTrainedTokenizerBase") -> str:
    try:
        return str(tokenizer.get_chat_template())
    except ValueError as err:
        raise ModelError(
            f"{tokenizer.name_or_path}: its tokenizer has no chat template; take the instruct variant "
            "of the model, or put a chat_template.jinja into a copy of its folder"
        ) from err


def _one_line(err: Exception) -> str:
    return " ".join(str(err).split()) or type(err).__name__
