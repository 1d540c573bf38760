"""Where assistant turns begin and end, found by rendering prefixes of the conversation.

A turn is what the model would generate when asked at that point: the template's text of the
conversation up to and with the turn, less its text of the conversation before it with
`add_generation_prompt`, and less what it writes behind the turn's end token:

    render(messages[:2])                                    <user>Hi<end><assistant>Hello<end>\\n
    render(messages[:1], header=True)                       <user>Hi<end><assistant>
    answer                                                                          Hello<end>

Where each such prefix is a prefix of the whole conversation's text too, the conversation is one
example. A template that writes earlier turns differently once later ones follow (Qwen3 and gpt-oss
drop their thinking and end them otherwise) has no such prefixes; then each trained turn is an example
of its own, with the turns before it written as the model will see them.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from opensloth_core.data.example import Message, Tool
from opensloth_core.data.render.completeness import missing_part
from opensloth_core.data.render.reader import Reader
from opensloth_core.data.render.rendered import Rendered, Span
from opensloth_core.data.render.traits import Traits
from opensloth_core.data.row import RowError

NO_SPANS = "the chat template hides where assistant turns begin or end"
LEFT_OUT = "the chat template leaves out part of a turn"

_WAY_OUT = "give the tokenizer a chat template with {% generation %} tags (trl/chat_templates has some)"
# Some headers open the thinking for the model, or close it: an earlier turn's text has no such start.
_PREFILL = re.compile(r"<think>\s*(?:</think>\s*)?\Z")


class Template(Protocol):
    """What is asked of a compiled template."""

    has_tags: bool

    def render(
        self, messages: list[Message], tools: list[Tool] | None = None, header: bool = False
    ) -> str: ...

    def tagged(self, messages: list[Message], tools: list[Tool] | None, text: str) -> list[Span]: ...


class Cut(NamedTuple):
    """A conversation that ends with an assistant turn, cut around the turn."""

    prompt: str
    answer: str
    rest: str

    @property
    def span(self) -> Span:
        return len(self.prompt), len(self.prompt) + len(self.answer)

    @property
    def text(self) -> str:
        return "".join(self)


class TurnRenderer:
    """Conversations, written by a template, with their assistant turns cut out.

    Args:
        template: the one that the model will be used with.
        variant: one that renders the thinking of a last turn where `template` drops it.
        traits: of both.
        turn_ends: special tokens, any of which may end a turn.
        reader: answers for texts; another one for texts with placeholders.
    """

    def __init__(
        self,
        template: Template,
        variant: Template | None,
        traits: Traits,
        turn_ends: tuple[str, ...],
        reader: Reader | None = None,
    ) -> None:
        self._reader = reader or Reader()
        self._template = template
        self._variant = variant
        self._traits = traits
        self._turn_ends = turn_ends

    def whole(self, messages: list[Message], tools: list[Tool] | None) -> str:
        """The conversation's text, of which no turn's content is missing but that of assistant turns."""
        text = self._template.render(messages, tools)
        self.check_context(messages, text)
        return text

    def examples(
        self, messages: list[Message], tools: list[Tool] | None, trained: Sequence[int]
    ) -> list[Rendered]:
        """The conversation, or one example for each of its `trained` turns.

        Raises:
            RowError: the template refuses the conversation, loses part of it, or a turn's place is unclear.
        """
        text = self.whole(messages, tools)
        if not trained:
            return [Rendered(text, [])]
        cuts = [self.cut(messages, tools, index, text) for index in trained]
        if all(self._reader.starts_with(text, cut.prompt + cut.answer) for cut in cuts):
            return [Rendered(text, self._narrowed(messages, tools, text, [cut.span for cut in cuts]))]
        examples = []
        for index, cut in zip(trained, cuts, strict=True):
            seen = messages[: index + 1]
            self.check_context(seen, cut.text)
            examples.append(Rendered(cut.text, self._narrowed(seen, tools, cut.text, [cut.span])))
        return [example for example in examples if example.spans]

    def all_but(
        self, messages: list[Message], tools: list[Tool] | None, untrained: Iterable[int]
    ) -> Rendered:
        """The conversation with everything trained but some assistant turns."""
        text = self.whole(messages, tools)
        missing = missing_part(messages[-1], text, self._traits.thinking_key, self._reader)
        if missing:
            raise RowError(LEFT_OUT, f"turn {len(messages)}: its {missing} is not in the text")
        spans, start = [], 0
        for index in sorted(untrained):
            cut = self.cut(messages, tools, index, text)
            if not self._reader.starts_with(text, cut.prompt + cut.answer):
                raise RowError(NO_SPANS, f"turn {index + 1} is written differently once turns follow")
            spans.append((start, cut.span[0]))
            start = cut.span[1]
        return Rendered(text, [(a, b) for a, b in [*spans, (start, len(text))] if a < b])

    def asking(self, messages: list[Message], tools: list[Tool] | None) -> str:
        """The conversation's text with the header that asks for an answer."""
        text = self._template.render(messages, tools, header=True)
        self.check_context(messages, text)
        return text

    def cut(self, messages: list[Message], tools: list[Tool] | None, index: int, whole: str) -> Cut:
        """The conversation up to turn `index`, cut around it; `whole` is the whole conversation's text."""
        texts = [whole] if index == len(messages) - 1 else None
        return self.cuts(messages[:index], [messages[index : index + 1]], tools, texts)[0]

    def cuts(
        self,
        prompt: list[Message],
        answers: list[list[Message]],
        tools: list[Tool] | None,
        texts: list[str] | None = None,
    ) -> list[Cut]:
        """A prompt with each of several answers to it; the cuts share their prompt."""
        try:
            return self._cuts(self._template, prompt, answers, tools, texts)
        except RowError as err:
            if self._variant is None or err.args[0] != LEFT_OUT:
                raise
            # The prompt as the model will see it, the answer as it has to write it.
            seen = self._template.render(prompt, tools, header=True)
            shown = self._variant.render(prompt, tools, header=True)
            cuts = self._cuts(self._variant, prompt, answers, tools, None)
            prefill = len(shown) - len(cuts[0].prompt)
            if seen[len(seen) - prefill :] != shown[len(shown) - prefill :]:
                raise
            return [cut._replace(prompt=seen[: len(seen) - prefill]) for cut in cuts]

    def _cuts(
        self,
        template: Template,
        prompt: list[Message],
        answers: list[list[Message]],
        tools: list[Tool] | None,
        texts: list[str] | None,
    ) -> list[Cut]:
        if not (self._traits.writes_header or template.has_tags):
            raise RowError(NO_SPANS, f"it ignores add_generation_prompt; {_WAY_OUT}")
        texts = texts or [template.render([*prompt, *answer], tools) for answer in answers]
        try:
            header = template.render(prompt, tools, header=True)
        except RowError as err:
            if prompt:
                raise
            raise RowError(
                NO_SPANS, "turn 1 answers nothing; begin with another turn than assistant"
            ) from err
        start = self._shared_start(header, texts)
        if start is None:
            raise RowError(
                NO_SPANS, f"turn {len(prompt) + 1} does not begin with what asks for it; {_WAY_OUT}"
            )
        start += self._late_header(header, [text[start:] for text in texts], answers)
        cuts = []
        for answer, text in zip(answers, texts, strict=True):
            end = self._end(text[start:]) + start
            cuts.append(Cut(text[:start], text[start:end], text[end:]))
            missing = missing_part(answer[-1], cuts[-1].answer, self._traits.thinking_key, self._reader)
            if missing:
                raise RowError(
                    LEFT_OUT, f"turn {len(prompt) + len(answer)}: its {missing} is not in the text"
                )
        return cuts

    def _shared_start(self, header: str, texts: list[str]) -> int | None:
        """How much of the header all texts begin with: all, or what precedes a prefilled thinking."""
        starts_with = self._reader.starts_with
        if all(starts_with(text, header) for text in texts):
            return len(header)
        self._reader.check_own_end(header)
        prefill = _PREFILL.search(header)
        if prefill and all(starts_with(text, header[: prefill.start()]) for text in texts):
            return prefill.start()
        return None

    def _late_header(self, header: str, turns: list[str], answers: list[list[Message]]) -> int:
        """Length of a header that is not asked with (behind a tool's result), but written all the same."""
        late = self._traits.header
        if not late or header.endswith(late):
            return 0
        is_late = all(self._reader.starts_with(turn, late) for turn in turns)
        contents = (answer[0].get("content") for answer in answers)
        return len(late) if is_late and not any(_begins(content, late) for content in contents) else 0

    def _end(self, turn: str) -> int:
        """Where the turn ends, without what the template writes behind the end token."""
        turn = turn.removesuffix(self._traits.closing)
        ended = turn.rstrip()
        return len(ended) if ended.endswith(self._turn_ends) else len(turn)

    def check_context(self, messages: list[Message], text: str) -> None:
        """Of assistant turns before the last, templates drop parts by design; of others they must not."""
        for index, message in enumerate(messages):
            if message["role"] != "assistant" and missing_part(message, text, "", self._reader):
                raise RowError(LEFT_OUT, f"turn {index + 1} ({message['role']}) is not in the text")

    def _narrowed(
        self, messages: list[Message], tools: list[Tool] | None, text: str, turns: list[Span]
    ) -> list[Span]:
        """Turns less what the template's own {% generation %} tags leave out; the end token stays."""
        if not self._template.has_tags:
            return [(start, end) for start, end in turns if start < end]
        spans = []
        for first, last in self._template.tagged(messages, tools, text):
            for start, end in turns:
                a, b = max(first, start), min(last, end)
                if text[b:end].strip() in self._turn_ends:
                    b = end
                if a < b:
                    spans.append((a, b))
        return spans


def _begins(content: Any, text: str) -> bool:
    return isinstance(content, str) and content.lstrip().startswith(text.strip())
