"""What is rendered and trained, setting by setting and kind by kind of example."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from opensloth_core.data.example import Chat, Preference, Prompt, Text
from opensloth_core.data.render.renderer import MAX_TURNS, Renderer
from opensloth_core.data.render.spec import template_spec
from opensloth_core.data.row import RowError

Get = Callable[[str], Any]
Message = dict[str, Any]


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def assistant(text: str, **more: Any) -> Message:
    return {"role": "assistant", "content": text, **more}


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "add",
            "description": "Adds.",
            "parameters": {
                "type": "object",
                "properties": {"x": {"type": "integer", "description": "A number."}},
                "required": ["x"],
            },
        },
    }
]
ONE = [user("Hi?"), assistant("Hello.")]
TWO = [*ONE, user("Bye?"), assistant("Ciao.")]
THOUGHTFUL = [
    user("Hi?"), assistant("Hello.", reasoning_content="Greet."),
    user("Bye?"), assistant("Ciao.", reasoning_content="Part."),
]  # fmt: skip


def trained(renderer: Renderer, messages: list[Message], **more: Any) -> list[list[str]]:
    """The trained texts of each example."""
    rendered = renderer.chat(Chat(messages, **more))
    return [[text[start:end] for start, end in spans] for text, spans in rendered]


def refused(renderer: Renderer, messages: list[Message], **more: Any) -> str:
    with pytest.raises(RowError) as caught:
        renderer.chat(Chat(messages, **more))
    return str(caught.value)


@pytest.mark.parametrize("name", ["gemma3", "llama3_1", "mistral", "deepseek_r1"])
def test_a_template_that_writes_bos_writes_it_once(name: str, get_family: Get) -> None:
    family = get_family(name)
    ((text, _),) = family.renderer.chat(Chat(ONE))
    assert text.startswith(family.family.bos) and text.count(family.family.bos) == 1
    assert family.renderer.prompt(Prompt(ONE[:1], {})).count(family.family.bos) == 1


def test_a_chat_has_no_bos_where_the_template_writes_none(get_family: Get) -> None:
    # apply_chat_template adds none either, whatever the tokenizer does to plain text.
    assert "<s>" not in get_family("qwen2_5").renderer.chat(Chat(ONE))[0].text


def test_turns_marked_as_untrained_are_not_trained(get_family: Get) -> None:
    renderer = get_family("llama3").renderer
    assert trained(renderer, TWO, untrained=frozenset({1})) == [["Ciao.<|eot_id|>"]]
    assert trained(renderer, TWO, untrained=frozenset({1, 3})) == [[]]
    # Of Qwen3's two answers the first needs no example then.
    assert trained(get_family("qwen3").renderer, THOUGHTFUL, untrained=frozenset({1})) == [
        ["<think>\nPart.\n</think>\n\nCiao.<|im_end|>"]
    ]


def test_everything_is_trained_when_asked_for_but_turns_marked_as_untrained(get_family: Get) -> None:
    renderer = Renderer(get_family("llama3").spec, "all")
    ((text, spans),) = renderer.chat(Chat(TWO))
    assert spans == [(0, len(text))]
    ((text, spans),) = renderer.chat(Chat(TWO, untrained=frozenset({1})))
    left_out = "Hello.<|eot_id|>"
    assert [text[start:end] for start, end in spans] == text.split(left_out)


def test_plain_text_ends_with_eos_and_begins_with_the_bos_that_the_tokenizer_adds(
    make_bytes_tokenizer: Any,
) -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = make_bytes_tokenizer(None, "</s>", tokens=("<s>",))
    renderer = Renderer(template_spec(tokenizer, {}, chats=False))
    assert renderer.text(Text("Hi.")) == ("Hi.</s>", [(0, 7)])
    bos = tokenizer.convert_tokens_to_ids("<s>")
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", bos)]
    )
    renderer = Renderer(template_spec(tokenizer, {}, chats=False))
    assert renderer.text(Text("Hi.")) == ("<s>Hi.</s>", [(0, 10)])
    assert renderer.text(Text("<s>Hi.</s>")).text == "<s>Hi.</s>"
    with pytest.raises(RowError, match="a conversation, but the tokenizer has no chat template"):
        renderer.chat(Chat(ONE))


def test_both_answers_of_a_preference_follow_one_prompt(get_family: Get) -> None:
    example = Preference([user("Hi?")], [assistant("Hello.")], [assistant("Go away.")])
    head = "<|im_start|>user\nHi?<|im_end|>\n<|im_start|>assistant\n"
    assert get_family("chatml").renderer.preference(example) == (
        head, "Hello.<|im_end|>", "Go away.<|im_end|>"
    )  # fmt: skip
    # The header opens the thinking; of two answers that both think it belongs to the prompt.
    example = Preference(
        [user("Hi?")],
        [assistant("Hello.", reasoning_content="Greet.")],
        [assistant("Go away.", reasoning_content="Hide.")],
    )
    assert get_family("deepseek_r1").renderer.preference(example) == (
        "<s><\uff5cUser\uff5c>Hi?<\uff5cAssistant\uff5c><think>\n",
        "Greet.\n</think>\n\nHello.<\uff5cend▁of▁sentence\uff5c>",
        "Hide.\n</think>\n\nGo away.<\uff5cend▁of▁sentence\uff5c>",
    )


def test_a_prompt_has_its_tools_and_the_header(get_family: Get) -> None:
    text = get_family("qwen3").renderer.prompt(Prompt([user("Hi?")], {}, tools=TOOLS))
    assert '"name": "add"' in text
    assert text.endswith("<|im_start|>user\nHi?<|im_end|>\n<|im_start|>assistant\n")


def test_a_template_that_refuses_a_conversation_gives_its_own_words(get_family: Get) -> None:
    assert refused(get_family("gemma").renderer, [user("a"), *ONE]).endswith(
        "(Conversation roles must alternate user/assistant/user/assistant/...)"
    )


def test_a_conversation_that_begins_with_an_answer_is_refused_where_the_template_needs_a_question(
    get_family: Get,
) -> None:
    assert "turn 1 does not begin with what asks for it" in refused(
        get_family("smollm2").renderer, [assistant("Hello."), *TWO]
    )
    assert refused(get_family("qwen2_5").renderer, [assistant("Hello."), *TWO]) == (
        "the chat template hides where assistant turns begin or end "
        "(turn 1 answers nothing; begin with another turn than assistant)"
    )
    assert trained(get_family("chatml").renderer, [assistant("Hello."), *ONE]) == [
        ["Hello.<|im_end|>", "Hello.<|im_end|>"]
    ]


def test_a_header_that_a_template_cannot_tell_from_the_answer_is_refused(
    get_family: Get, make_bytes_tokenizer: Any
) -> None:
    source = get_family("chatml").spec.source
    headless = source[: source.index("{% if add_generation_prompt")]
    spec = template_spec(make_bytes_tokenizer(headless, "<|im_end|>"), {})
    assert "it ignores add_generation_prompt" in refused(Renderer(spec), ONE)
    assert Renderer(spec, "all").chat(Chat(ONE))[0].text.count("<|im_end|>") == 2


TAGGED = (
    "{% macro turn(message) %}{{ '<' + message['role'] + '>' }}"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] }}{% endgeneration %}"
    "{{ eos_token }}\n{% else %}{{ message['content'] }}{% endif %}{% endmacro %}"
    "{% for message in messages %}{{ turn(message) }}{% endfor %}"
)


def test_generation_tags_tell_the_answer_where_the_header_does_not(make_bytes_tokenizer: Any) -> None:
    renderer = Renderer(template_spec(make_bytes_tokenizer(TAGGED, "</s>"), {}))
    # The tags leave the end token out; it is what generation stops at, so it is trained all the same.
    assert trained(renderer, TWO) == [["Hello.</s>", "Ciao.</s>"]]
    assert trained(renderer, TWO, untrained=frozenset({1})) == [["Ciao.</s>"]]


def test_generation_tags_around_the_header_do_not_train_it(
    get_family: Get, make_bytes_tokenizer: Any
) -> None:
    from opensloth_core.data.render.families import trl_template

    source = trl_template("deepseek_r1_distill_training.jinja")
    end = get_family("deepseek_r1").family.end
    assert "generation %}{{'<\uff5cAssistant\uff5c>'" in source
    renderer = Renderer(template_spec(make_bytes_tokenizer(source, end), {}))
    assert trained(renderer, TWO) == [["Hello." + end, "Ciao." + end]]


def test_generation_tags_that_a_filter_reaches_into_are_refused(make_bytes_tokenizer: Any) -> None:
    trimmed = TAGGED.replace("{{ eos_token }}\n", "").replace(
        "{{ turn(message) }}", "{{ turn(message) | trim }}"
    )
    renderer = Renderer(template_spec(make_bytes_tokenizer(trimmed, "</s>"), {}))
    assert trained(renderer, ONE) == [["Hello."]]
    # The filter trims the text, but not when a mark stands behind the space.
    assert "nested or filtered" in refused(renderer, [user("Hi?"), assistant("Hello. ")])
    assert refused(renderer, [user("\ufdd0"), assistant("a")]) == (
        "reserved character (U+FDD0 or U+FDD1 in the text; remove it)"
    )


def test_too_many_turns_are_refused_before_they_cost_anything(get_family: Get) -> None:
    assert refused(get_family("chatml").renderer, ONE * MAX_TURNS) == (
        f"too many turns ({2 * MAX_TURNS} > {MAX_TURNS}; split the conversation)"
    )


def test_a_template_reaches_neither_python_nor_the_rows(make_bytes_tokenizer: Any) -> None:
    def text(expression: str) -> str:
        template = "{% for m in messages %}{{ m.content }}</s>{% endfor %}{{ " + expression + " }}"
        spec = template_spec(make_bytes_tokenizer(template, "</s>"), {})
        return Renderer(spec, "all").chat(Chat(ONE))[0].text

    assert text("messages[0].content.__class__") == "Hi?</s>Hello.</s>"
    for attack in ("''.__class__.__mro__[1]", "messages.append(1)", "messages[0].update(content='')"):
        with pytest.raises(RowError, match="unsafe"):
            text(attack)


def test_a_renderer_is_made_of_a_spec_that_went_to_another_process(get_family: Get) -> None:
    family = get_family("llama3_1")
    copy = pickle.loads(pickle.dumps(family.spec))
    assert copy == family.spec and copy.key == family.spec.key
    assert Renderer(copy).chat(Chat(TWO)) == family.renderer.chat(Chat(TWO))


def test_a_worker_renders_without_importing_transformers(get_family: Get) -> None:
    spec = pickle.dumps(get_family("qwen3").spec)
    code = (
        "import pickle, sys\n"
        "from opensloth_core.data.example import Chat\n"
        "from opensloth_core.data.render.renderer import Renderer\n"
        f"spec = pickle.loads({spec!r})\n"
        f"assert Renderer(spec).chat(Chat({TWO!r}))\n"
        "assert not {'transformers', 'torch', 'trl', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
