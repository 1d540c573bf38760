"""What is trained of several turns, of thinking and of tool calls, family by family."""

from collections.abc import Callable
from typing import Any

import pytest

from opensloth_core.data.example import Chat
from opensloth_core.data.render.renderer import Renderer
from opensloth_core.data.render.spec import template_spec
from opensloth_core.data.row import RowError

Get = Callable[[str], Any]
Message = dict[str, Any]


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def assistant(text: str, **more: Any) -> Message:
    return {"role": "assistant", "content": text, **more}


def system(text: str) -> Message:
    return {"role": "system", "content": text}


CALL = {"type": "function", "id": "a1b2c3d4e", "function": {"name": "add", "arguments": {"x": 1}}}
RESULT = {"role": "tool", "name": "add", "tool_call_id": "a1b2c3d4e", "content": "42"}
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
TOOL_TURNS = [user("Hi?"), assistant("", tool_calls=[CALL]), RESULT, assistant("It is 42.")]


def trained(renderer: Renderer, messages: list[Message], **more: Any) -> list[list[str]]:
    """The trained texts of each example."""
    rendered = renderer.chat(Chat(messages, **more))
    return [[text[start:end] for start, end in spans] for text, spans in rendered]


def refused(renderer: Renderer, messages: list[Message], **more: Any) -> str:
    with pytest.raises(RowError) as caught:
        renderer.chat(Chat(messages, **more))
    return str(caught.value)


MULTI_TURN = {
    "smollm2": [["Hello.<|im_end|>", "Ciao.<|im_end|>"]],
    "qwen2_5": [["Hello.<|im_end|>", "Ciao.<|im_end|>"]],
    "qwen3": [["<think>\n\n</think>\n\nHello.<|im_end|>"], ["<think>\n\n</think>\n\nCiao.<|im_end|>"]],
    "qwen3_5_think": [["\n</think>\n\nHello.<|im_end|>"], ["\n</think>\n\nCiao.<|im_end|>"]],
    "qwen3_5_nothink": [["Hello.<|im_end|>"], ["Ciao.<|im_end|>"]],
    "gemma": [["Hello.<end_of_turn>", "Ciao.<end_of_turn>"]],
    "gemma3": [["Hello.<end_of_turn>", "Ciao.<end_of_turn>"]],
    "gemma4": [["Hello.<turn|>", "Ciao.<turn|>"]],
    "llama3_1": [["Hello.<|eot_id|>", "Ciao.<|eot_id|>"]],
    "mistral": [["Hello.</s>", "Ciao.</s>"]],
    "mistral_v3": [[" Hello.</s>", " Ciao.</s>"]],
    "phi3": [["Hello.<|end|>", "Ciao.<|end|>"]],
    "phi4": [["Hello.<|im_end|>", "Ciao.<|im_end|>"]],
    "deepseek_r1": [["Hello.<\uff5cend▁of▁sentence\uff5c>", "Ciao.<\uff5cend▁of▁sentence\uff5c>"]],
    "gpt_oss": [
        ["<|channel|>final<|message|>Hello.<|return|>"],
        ["<|channel|>final<|message|>Ciao.<|return|>"],
    ],
    "cohere2": [
        ["Hello.<|END_RESPONSE|><|END_OF_TURN_TOKEN|>", "Ciao.<|END_RESPONSE|><|END_OF_TURN_TOKEN|>"]
    ],
}


@pytest.mark.parametrize("name", MULTI_TURN)
def test_a_familys_two_answers(name: str, get_family: Get) -> None:
    assert trained(get_family(name).renderer, TWO) == MULTI_TURN[name]


@pytest.mark.parametrize("name", [name for name, examples in MULTI_TURN.items() if len(examples) == 2])
def test_where_earlier_turns_are_rewritten_each_answer_has_an_example_as_at_inference(
    name: str, get_family: Get
) -> None:
    family = get_family(name)
    first, second = family.renderer.chat(Chat(TWO))
    assert first.text == family.transformers_text(TWO[:2])
    assert second.text == family.transformers_text(TWO)
    assert "<think>" not in second.text[: second.text.index("Bye?")]


THINKING = {
    "qwen3": "<think>\n{}\n</think>\n\n{}<|im_end|>",
    "qwen3_5_think": "{}\n</think>\n\n{}<|im_end|>",
    "qwen3_5_nothink": "<think>\n{}\n</think>\n\n{}<|im_end|>",
    "gemma4": "<|channel>thought\n{}\n<channel|>{}<turn|>",
    "deepseek_r1": "{}\n</think>\n\n{}<\uff5cend▁of▁sentence\uff5c>",
    "gpt_oss": (
        "<|channel|>analysis<|message|>{}<|end|><|start|>assistant<|channel|>final<|message|>{}<|return|>"
    ),
    "lfm2_5": "<think>{}</think>{}<|im_end|>",
}


@pytest.mark.parametrize("name", THINKING)
def test_each_turns_thinking_is_trained_and_earlier_thinking_is_dropped_by_design(
    name: str, get_family: Get
) -> None:
    renderer = get_family(name).renderer
    answers = [("Greet.", "Hello."), ("Part.", "Ciao.")]
    assert trained(renderer, THOUGHTFUL) == [[THINKING[name].format(*answer)] for answer in answers]
    assert "Greet." not in renderer.chat(Chat(THOUGHTFUL))[1].text


def test_the_last_turn_alone_needs_one_example(get_family: Get) -> None:
    renderer = Renderer(get_family("qwen3").spec, "last-assistant")
    assert trained(renderer, THOUGHTFUL) == [["<think>\nPart.\n</think>\n\nCiao.<|im_end|>"]]
    assert trained(Renderer(get_family("llama3").spec, "last-assistant"), TWO) == [["Ciao.<|eot_id|>"]]


def test_thinking_tags_in_a_content_are_thinking(get_family: Get) -> None:
    tagged = [user("Hi?"), assistant("<think>\nGreet.\n</think>\n\nHello.")]
    assert trained(get_family("qwen3").renderer, tagged) == [
        ["<think>\nGreet.\n</think>\n\nHello.<|im_end|>"]
    ]
    # A template that knows no thinking writes the tags as any text.
    assert trained(get_family("llama3").renderer, tagged) == [
        ["<think>\nGreet.\n</think>\n\nHello.<|eot_id|>"]
    ]


def test_deepseek_r1_is_asked_as_at_inference_and_answers_with_its_thinking(get_family: Get) -> None:
    family = get_family("deepseek_r1")
    tagged = [user("Hi?"), assistant("<think>\n42\n</think>\n\nIt is 42.")]
    ((text, [(start, _)]),) = family.renderer.chat(Chat(tagged))
    assert text[:start] == family.transformers_text(tagged[:1], add_generation_prompt=True)
    assert text[start:] == "42\n</think>\n\nIt is 42.<\uff5cend▁of▁sentence\uff5c>"
    # The template itself drops the thinking.
    assert "42\n</think>" not in family.transformers_text(tagged)


def test_thinking_that_a_template_has_no_place_for_is_refused(get_family: Get) -> None:
    assert refused(get_family("llama3").renderer, THOUGHTFUL) == (
        "the chat template does not render thinking "
        "(turn 2 thinks; take the thinking out, or a thinking model)"
    )
    tagged = [user("Hi?"), assistant("<think>\n42\n</think>\n\nIt is 42.")]
    assert refused(get_family("deepseek_v3").renderer, tagged) == (
        "the chat template leaves out part of a turn (turn 2: its content is not in the text)"
    )


HERMES = '<tool_call>\n{"name": "add", "arguments": {"x": 1}}\n</tool_call><|im_end|>'
TOOL_CALLS = {
    "qwen2_5": [[HERMES, "It is 42.<|im_end|>"]],
    "qwen3": [
        ["<think>\n\n</think>\n\n" + HERMES],
        ["<think>\n\n</think>\n\nIt is 42.<|im_end|>"],
    ],
    "gemma4": [["<|tool_call>call:add{x:1}<tool_call|><|tool_response>", "It is 42.<turn|>"]],
    "llama3_1": [['{"name": "add", "parameters": {"x": 1}}<|eot_id|>', "It is 42.<|eot_id|>"]],
    "mistral_v3": [
        ['[TOOL_CALLS] [{"name": "add", "arguments": {"x": 1}, "id": "a1b2c3d4e"}]</s>', " It is 42.</s>"]
    ],
    "mistral_v7": [
        ['[TOOL_CALLS] [{"name": "add", "arguments": {"x": 1}, "id": "a1b2c3d4e"}]</s>', "It is 42.</s>"]
    ],
    "gpt_oss": [
        [
            ' to=functions.add<|channel|>commentary json<|message|>{"x": 1}<|call|>',
            "<|channel|>final<|message|>It is 42.<|return|>",
        ]
    ],
    "lfm2_5": [["<|tool_call_start|>[add(x=1)]<|tool_call_end|><|im_end|>", "It is 42.<|im_end|>"]],
}  # fmt: skip


@pytest.mark.parametrize("name", TOOL_CALLS)
def test_a_familys_tool_call_is_trained_and_the_result_is_not(name: str, get_family: Get) -> None:
    assert trained(get_family(name).renderer, TOOL_TURNS, tools=TOOLS) == TOOL_CALLS[name]


def test_mistrals_tools_move_to_the_last_question_so_each_answer_has_an_example(get_family: Get) -> None:
    examples = get_family("mistral_v3").renderer.chat(Chat(TWO, tools=TOOLS))
    assert [text.index("[AVAILABLE_TOOLS]") < text.index("Hi?") for text, _ in examples] == [True, False]


def test_mistrals_own_words_reach_the_row_when_a_call_has_no_id(get_family: Get) -> None:
    call = {**CALL, "id": "call_1"}
    messages = [user("Hi?"), assistant("", tool_calls=[call]), RESULT, assistant("It is 42.")]
    assert refused(get_family("mistral_v3").renderer, messages, tools=TOOLS) == (
        "the chat template refuses the conversation "
        "(Tool call IDs should be alphanumeric strings with length 9!)"
    )


@pytest.mark.parametrize("name", ["smollm2", "gemma", "gemma3", "phi3", "llama3", "deepseek_r1", "cohere2"])
def test_tools_that_a_template_passes_over_are_refused(name: str, get_family: Get) -> None:
    renderer = get_family(name).renderer
    assert refused(renderer, ONE, tools=TOOLS).startswith("the chat template does not render tools (")
    assert refused(renderer, TOOL_TURNS).startswith(
        "the chat template does not render tool calls (turn 2 calls a tool;"
    )


def test_arguments_are_handed_over_as_json_where_the_template_writes_them_as_they_are(
    make_bytes_tokenizer: Any,
) -> None:
    template = (
        "{% for m in messages %}<|im_start|>{{ m.role + '\n' + m.content }}"
        "{% for call in m.tool_calls or [] %}"
        "{{ call.function.name + ' ' + call.function.arguments }}{% endfor %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    spec = template_spec(make_bytes_tokenizer(template, "<|im_end|>"), {})
    assert trained(Renderer(spec), TOOL_TURNS) == [['add {"x": 1}<|im_end|>', "It is 42.<|im_end|>"]]


def test_default_system_prompts_and_dates_are_rendered_and_not_trained(get_family: Get) -> None:
    ((text, _),) = get_family("llama3_2").renderer.chat(Chat(ONE))
    assert "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n<|eot_id|>" in text
    ((text, spans),) = get_family("smollm2").renderer.chat(Chat(ONE))
    assert text.startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by")
    assert len(spans) == 1
    # An empty system turn takes the place of the default.
    assert (
        get_family("qwen2_5")
        .renderer.chat(Chat([system(""), *ONE]))[0]
        .text.startswith("<|im_start|>system\n<|im_end|>\n<|im_start|>user\nHi?")
    )


def test_a_system_turn_is_folded_into_the_question_by_gemma_3_and_refused_by_gemma(get_family: Get) -> None:
    messages = [system("Be kind."), *ONE]
    ((text, _),) = get_family("gemma3").renderer.chat(Chat(messages))
    assert text.startswith("<bos><start_of_turn>user\nBe kind.\n\nHi?<end_of_turn>\n")
    assert refused(get_family("gemma").renderer, messages) == (
        "the chat template refuses the conversation (System role not supported)"
    )


def test_a_system_turn_that_a_template_drops_is_refused(get_family: Get) -> None:
    # Mistral v3 writes it before the last question, but only where the conversation ends with one.
    assert refused(get_family("mistral_v3").renderer, [system("Be kind."), *ONE]) == (
        "the chat template leaves out part of a turn (turn 1 (system) is not in the text)"
    )
