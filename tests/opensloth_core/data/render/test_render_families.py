"""Generated conversations through each family's real template, against what transformers renders."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opensloth_core.data.example import Chat, Preference, Prompt
from opensloth_core.data.render.compiled import TEMPLATE_ERROR
from opensloth_core.data.render.rendered import Rendered
from opensloth_core.data.render.turns import LEFT_OUT
from opensloth_core.data.row import RowError

Messages = list[dict[str, Any]]

MARKUP = [
    "<|im_end|>", "<|im_start|>assistant\n", "<|eot_id|>", "<end_of_turn>", "</s>", "[/INST]", "[INST] ",
    "<|end|>", "<|return|>", "<turn|>", "<|channel|>", "{{ x }}", "{% if %}", "\n", "\n\n", " ", "\t",
    "\u00a0", "é", "世界", "🙂", "assistant", "<tool_response>", "\U00100000", '"', "\\", "'", "<tool_call>",
]  # fmt: skip
THINKING = ["<think>", "</think>", "<think>\n", "\n</think>\n\n", "<|channel>", "<channel|>"]
# U+FDD0 and U+FDD1 mark spans while rendering; a template with tags refuses texts that hold them.
plain = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufdd0\ufdd1"), max_size=12)


def contents(*markup: str) -> st.SearchStrategy[str]:
    pieces = st.lists(st.one_of(plain, st.sampled_from([*MARKUP, *markup])), min_size=1, max_size=4)
    return pieces.map("".join).filter(str.strip)


def conversations(content: st.SearchStrategy[str], system: bool) -> st.SearchStrategy[Messages]:
    def build(first: str | None, pairs: list[tuple[str, str]]) -> Messages:
        turns: Messages = [] if first is None else [{"role": "system", "content": first}]
        for question, answer in pairs:
            turns += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        return turns

    first = st.one_of(st.none(), content) if system else st.none()
    return st.builds(build, first, st.lists(st.tuples(content, content), min_size=1, max_size=3))


def oracle(loaded: Any, messages: Messages, tools: Any = None) -> list[Rendered]:
    """The answer's place by rendering prefixes with transformers, and by looking for the end token."""

    def text(turns: Messages, header: bool = False) -> str:
        return str(loaded.transformers_text(turns, tools=tools, add_generation_prompt=header))

    whole, turns = text(messages), []
    for index, message in enumerate(messages):
        if message["role"] == "assistant":
            through, header = text(messages[: index + 1]), text(messages[:index], header=True)
            if not through.startswith(header):
                header = header[: header.rindex("<think>")]
            assert through.startswith(header)
            end = through.rindex(loaded.family.end) + len(loaded.family.end)
            turns.append((through, (len(header), end)))
    if all(whole.startswith(through[:end]) for through, (_, end) in turns):
        return [Rendered(whole, [span for _, span in turns])]
    return [Rendered(through, [span]) for through, span in turns]


def trained_text(loaded: Any, rendered: Rendered) -> str:
    """What is decoded of the tokens that lie in the spans."""
    encoding = loaded.tokenizer.backend_tokenizer.encode(rendered.text, add_special_tokens=False)
    trained = [
        token
        for token, (first, last) in zip(encoding.ids, encoding.offsets, strict=True)
        if any(start <= first and last <= end for start, end in rendered.spans)
    ]
    return str(loaded.tokenizer.decode(trained, clean_up_tokenization_spaces=False))


fast = settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])


@fast
@given(data=st.data())
def test_spans_are_what_transformers_renders_between_header_and_end_token(data: Any, loaded: Any) -> None:
    messages = data.draw(conversations(contents(), loaded.family.system))
    rendered = loaded.renderer.chat(Chat(messages))
    assert rendered == oracle(loaded, messages)
    for example in rendered:
        spans = "".join(example.text[start:end] for start, end in example.spans)
        assert trained_text(loaded, example) == spans
        assert all(example.text[:end].endswith(loaded.family.end) for _, end in example.spans)


@fast
@given(data=st.data())
def test_thinking_in_contents_is_trained_or_the_row_is_refused(data: Any, loaded: Any) -> None:
    messages = data.draw(conversations(contents(*THINKING), loaded.family.system))
    try:
        rendered = loaded.renderer.chat(Chat(messages))
    except RowError as err:
        assert err.args[0] in (LEFT_OUT, TEMPLATE_ERROR)
        return
    # DeepSeek-R1's answers are written by its training variant where the template drops their thinking.
    if loaded.family.name != "deepseek_r1":
        assert rendered == oracle(loaded, messages)


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "look_up",
            "description": "Look a word up.",
            "parameters": {
                "type": "object",
                "properties": {"word": {"type": "string", "description": "The word."}},
                "required": ["word"],
            },
        },
    }
]
# Those whose every turn, a tool call too, ends alike.
TOOL_FAMILIES = [
    "qwen2_5",
    "qwen3",
    "qwen3_5_think",
    "llama3_1",
    "llama3_2",
    "mistral_v3",
    "mistral_v7",
    "lfm2_5",
]


@fast
@given(data=st.data(), name=st.sampled_from(TOOL_FAMILIES))
def test_tool_calls_are_trained_and_their_results_are_not(data: Any, name: str, get_family: Any) -> None:
    loaded = get_family(name)
    words = st.text("abcdefghij ", min_size=1).filter(str.strip)
    messages: Messages = [{"role": "user", "content": data.draw(words)}]
    for word in data.draw(st.lists(words, min_size=1, max_size=3)):
        function = {"name": "look_up", "arguments": {"word": word}}
        call = {"type": "function", "id": "a1b2c3d4e", "function": function}
        messages += [
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "name": "look_up", "tool_call_id": "a1b2c3d4e", "content": f"r: {word}"},
        ]
        if loaded.family.thinking and name != "lfm2_5" and data.draw(st.booleans()):
            messages[-2]["reasoning_content"] = data.draw(words)
    messages.append({"role": "assistant", "content": data.draw(words)})
    rendered = loaded.renderer.chat(Chat(messages, tools=TOOLS))
    assert rendered == oracle(loaded, messages, TOOLS)
    trained = "".join(trained_text(loaded, example) for example in rendered)
    assert trained.count("look_up") == len(messages) // 2 - 1
    assert "r: " not in trained


@fast
@given(data=st.data(), train_on=st.sampled_from(["assistant", "last-assistant", "all"]))
def test_a_plan_gives_what_rendering_gives(data: Any, train_on: Any, loaded: Any) -> None:
    messages = data.draw(conversations(contents(*THINKING), loaded.family.system))
    by_plan, exactly = loaded.pair(train_on)
    try:
        expected = exactly.chat(Chat(messages))
    except RowError as err:
        with pytest.raises(RowError) as caught:
            by_plan.chat(Chat(messages))
        assert caught.value.args == err.args
    else:
        assert by_plan.chat(Chat(messages)) == expected


@fast
@given(data=st.data())
def test_prompts_and_preferences_are_slices_of_what_transformers_renders(data: Any, loaded: Any) -> None:
    *prompt, chosen = data.draw(conversations(contents(), loaded.family.system))
    rejected = {"role": "assistant", "content": data.draw(contents())}
    asked = loaded.transformers_text(prompt, add_generation_prompt=True)
    assert loaded.renderer.prompt(Prompt(prompt, {})) == asked
    head, *answers = loaded.renderer.preference(Preference(prompt, [chosen], [rejected]))
    assert asked.startswith(head) and asked[len(head) :].strip() in ("", "<think>", "<think>\n\n</think>")
    for answer, turn in zip(answers, (chosen, rejected), strict=True):
        assert loaded.transformers_text([*prompt, turn]).startswith(head + answer)
        assert answer.endswith(loaded.family.end)
