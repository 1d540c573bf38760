"""Examples to text, with the characters that are trained: what a worker process does to each row."""

from collections.abc import Sequence
from functools import cached_property
from typing import Literal

from opensloth_core.data.example import Chat, Message, Preference, Prompt, Text, Tool
from opensloth_core.data.render.compiled import CompiledTemplate
from opensloth_core.data.render.messages import as_template_takes_them
from opensloth_core.data.render.planner import Planner, are_plain
from opensloth_core.data.render.rendered import Rendered
from opensloth_core.data.render.spec import TemplateSpec
from opensloth_core.data.render.symbol import Recorder
from opensloth_core.data.render.symbolic_reader import SymbolicReader
from opensloth_core.data.render.symbolic_template import SymbolicTemplate
from opensloth_core.data.render.traits import Traits, find_traits
from opensloth_core.data.render.turns import TurnRenderer
from opensloth_core.data.row import RowError

TrainOn = Literal["assistant", "last-assistant", "all"]

TOO_MANY_TURNS = "too many turns"
NO_TEMPLATE = "a conversation, but the tokenizer has no chat template"

MAX_TURNS = 256
"""Longer conversations are rejected: each of their turns costs a rendering of all before it."""


class Renderer:
    """Renders rows by one tokenizer's template.

    Args:
        spec: the template.
        train_on: which tokens of a conversation are trained: those of every assistant turn, of the
            last one, or all of them.
        use_plans: render rows by plan where that is possible; without, the same is rendered in ten
            times the time.
    """

    def __init__(self, spec: TemplateSpec, train_on: TrainOn = "assistant", use_plans: bool = True) -> None:
        self._spec = spec
        self._use_plans = use_plans
        self._train_on = train_on

    def chat(self, example: Chat) -> list[Rendered]:
        """The conversation, or one text for each trained turn where the template rewrites earlier turns.

        Raises:
            RowError: the template refuses it or leaves part of it out, or the turns' places are unclear.
        """
        messages, tools, untrained = example.messages, example.tools, example.untrained
        self._check_length(messages)
        if not tools and not untrained and are_plain(messages):
            return self._planner.do("chat", self._plain_chat, (messages,))
        messages = as_template_takes_them(messages, tools, self._traits)
        return self._chat(self._turns(tools), messages, tools, untrained)

    def text(self, example: Text) -> Rendered:
        """Plain text with the tokenizer's BOS, where it adds one, and EOS; all of it trained."""
        text, spec = example.text, self._spec
        if not text.startswith(spec.text_start):
            text = spec.text_start + text
        if not text.endswith(spec.text_end):
            text += spec.text_end
        return Rendered(text, [(0, len(text))])

    def preference(self, example: Preference) -> tuple[str, str, str]:
        """The prompt with the assistant's header, and both answers with their end tokens.

        Raises:
            RowError: as for `chat`.
        """
        parts, tools = (example.prompt, example.chosen, example.rejected), example.tools
        for messages in parts:
            self._check_length(messages)
        if not tools and all(map(are_plain, parts)):
            pair = self._planner.do("preference", self._plain_preference, parts)
        else:
            taken = [as_template_takes_them(messages, tools, self._traits) for messages in parts]
            pair = self._preference(self._turns(tools), taken, tools)
        (chosen, [(start, end)]), (rejected, [(_, rejected_end)]) = pair
        return chosen[:start], chosen[start:end], rejected[start:rejected_end]

    def prompt(self, example: Prompt) -> str:
        """The prompt with the assistant's header.

        Raises:
            RowError: as for `chat`.
        """
        messages, tools = example.prompt, example.tools
        self._check_length(messages)
        if not tools and are_plain(messages):
            return self._planner.do("prompt", self._plain_prompt, (messages,))[0].text
        return self._turns(tools).asking(as_template_takes_them(messages, tools, self._traits), tools)

    def _plain_chat(self, turns: TurnRenderer, parts: Sequence[list[Message]]) -> list[Rendered]:
        return self._chat(turns, parts[0], None, frozenset())

    def _chat(
        self,
        turns: TurnRenderer,
        messages: list[Message],
        tools: list[Tool] | None,
        untrained: frozenset[int],
    ) -> list[Rendered]:
        if self._train_on == "all":
            return [turns.all_but(messages, tools, untrained)]
        trained = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
        if self._train_on == "last-assistant":
            trained = trained[-1:]
        return turns.examples(messages, tools, [index for index in trained if index not in untrained])

    def _plain_preference(self, turns: TurnRenderer, parts: Sequence[list[Message]]) -> list[Rendered]:
        return self._preference(turns, parts, None)

    def _preference(
        self, turns: TurnRenderer, parts: Sequence[list[Message]], tools: list[Tool] | None
    ) -> list[Rendered]:
        prompt, *answers = parts
        cuts = turns.cuts(prompt, answers, tools)
        for cut, answer in zip(cuts, answers, strict=True):
            turns.check_context([*prompt, *answer], cut.text)
        return [Rendered(cut.text, [cut.span]) for cut in cuts]

    def _plain_prompt(self, turns: TurnRenderer, parts: Sequence[list[Message]]) -> list[Rendered]:
        return [Rendered(turns.asking(parts[0], None), [])]

    def _check_length(self, messages: list[Message]) -> None:
        if len(messages) > MAX_TURNS:
            raise RowError(TOO_MANY_TURNS, f"{len(messages)} > {MAX_TURNS}; split the conversation")
        if not self._spec.source:
            raise RowError(NO_TEMPLATE, "give it a chat_template.jinja, or plain text as data")

    def _turns(self, tools: list[Tool] | None) -> TurnRenderer:
        return self._tool_turns if tools else self._plain_turns

    @cached_property
    def _template(self) -> CompiledTemplate:
        return CompiledTemplate(self._spec.source, self._spec.special_tokens)

    @cached_property
    def _tool_template(self) -> CompiledTemplate:
        if self._spec.tool_source == self._spec.source:
            return self._template
        return CompiledTemplate(self._spec.tool_source, self._spec.special_tokens)

    @cached_property
    def _variant(self) -> CompiledTemplate | None:
        source = self._spec.training_source
        return CompiledTemplate(source, self._spec.special_tokens) if source else None

    @cached_property
    def _traits(self) -> Traits:
        spec = self._spec
        return find_traits(self._template, self._tool_template, self._variant, spec.eos_token, spec.turn_ends)

    @cached_property
    def _plain_turns(self) -> TurnRenderer:
        return TurnRenderer(self._template, self._variant, self._traits, self._spec.turn_ends)

    @cached_property
    def _tool_turns(self) -> TurnRenderer:
        return TurnRenderer(self._tool_template, self._variant, self._traits, self._spec.turn_ends)

    @cached_property
    def _planner(self) -> Planner:
        # What {% generation %} tags mark is looked up in the text of each row.
        symbolic = self._symbolic_turns if self._use_plans and not self._template.has_tags else None
        return Planner(self._plain_turns, symbolic, self._spec.turn_ends)

    def _symbolic_turns(self, recorder: Recorder) -> TurnRenderer:
        reader = SymbolicReader(recorder)
        return TurnRenderer(self._symbolic_template, None, self._traits, self._spec.turn_ends, reader)

    @cached_property
    def _symbolic_template(self) -> SymbolicTemplate:
        return SymbolicTemplate(self._template)
