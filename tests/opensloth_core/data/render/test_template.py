from collections.abc import Callable
from typing import Any

import pytest

from opensloth_core.data.render.template import ChatTemplate
from opensloth_core.data.row import RowError
from opensloth_core.errors import ModelError


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


ONE = [user("Hi?"), assistant("Hello.")]
TWO = [*ONE, user("Bye?"), assistant("Ciao.")]
SYSTEM = {"role": "system", "content": "Be kind."}
END = {
    "qwen2_5": "<|im_end|>",
    "qwen3_instruct_2507": "<|im_end|>",
    "qwen3_training": "<|im_end|>",
    "llama3": "<|eot_id|>",
    "llama3_1": "<|eot_id|>",
    "llama3_2": "<|eot_id|>",
    "llama3_training": "<|eot_id|>",
    "gemma": "<end_of_turn>",
    "gemma3": "<end_of_turn>",
    "gemma_training": "<end_of_turn>",
    "phi3": "<|end|>",
    "lfm2_training": "<|im_end|>",
    "cohere": "<|END_OF_TURN_TOKEN|>",
}
# The shape of Mistral 7B Instruct v0.2's template.
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% else %}{{ message['content'] + eos_token }}{% endif %}{% endfor %}"
)

Make = Callable[..., Any]
Load = Callable[[str], str]


def trained(template: ChatTemplate, messages: list[dict[str, str]]) -> list[str]:
    text = template.render(messages)
    return [text[start:end] for start, end in template.spans(messages, text)]


def family(name: str, make_tokenizer: Make, trl_template: Load) -> Any:
    tokenizer = make_tokenizer(trl_template(name))
    tokenizer.add_special_tokens({"additional_special_tokens": [END[name]]})
    return tokenizer


@pytest.mark.parametrize("name", END)
def test_a_familys_answer_and_its_end_token_are_trained_and_nothing_else(
    name: str, make_tokenizer: Make, trl_template: Load
) -> None:
    template = ChatTemplate(family(name, make_tokenizer, trl_template))
    (span,) = trained(template, ONE)
    thinking = "<think>\n\n</think>\n\n" if name == "qwen3_training" else ""
    closing = "\n<|im_end|>" if name == "phi3" else ""
    assert span == f"{thinking}Hello.{END[name]}{closing}"


@pytest.mark.parametrize("name", [name for name in END if name not in ("qwen3_training", "phi3")])
def test_every_assistant_turn_of_a_conversation_is_trained(
    name: str, make_tokenizer: Make, trl_template: Load
) -> None:
    template = ChatTemplate(family(name, make_tokenizer, trl_template))
    assert trained(template, TWO) == [f"Hello.{END[name]}", f"Ciao.{END[name]}"]


@pytest.mark.parametrize("name", END)
def test_the_text_is_what_transformers_renders_but_for_the_date(
    name: str, make_tokenizer: Make, trl_template: Load
) -> None:
    tokenizer = family(name, make_tokenizer, trl_template)
    date = {"date_string": "26 Jul 2024"}
    expected = tokenizer.apply_chat_template(TWO, tokenize=False, **date)
    assert ChatTemplate(tokenizer).render(TWO) == expected


def test_a_date_that_a_template_inserts_is_the_same_every_day(
    make_tokenizer: Make, trl_template: Load
) -> None:
    text = ChatTemplate(make_tokenizer(trl_template("llama3_2"))).render(ONE)
    assert "Today Date: 26 Jul 2024" in text


def test_mistral_trains_from_the_end_of_inst(make_tokenizer: Make) -> None:
    template = ChatTemplate(make_tokenizer(MISTRAL + "{# add_generation_prompt adds nothing #}"))
    assert trained(template, TWO) == ["Hello.<|im_end|>", "Ciao.<|im_end|>"]
    assert trained(ChatTemplate(make_tokenizer(MISTRAL)), TWO) == ["Hello.<|im_end|>", "Ciao.<|im_end|>"]


def test_whitespace_of_the_answer_is_trained_and_that_behind_its_end_token_is_not(tokenizer: Any) -> None:
    messages = [user("Hi?"), assistant("\n Hello. \n")]
    assert trained(ChatTemplate(tokenizer), messages) == ["\n Hello. \n<|im_end|>"]


def test_qwen3_with_one_answer_is_trained_with_the_empty_thinking_it_renders(
    make_tokenizer: Make, trl_template: Load
) -> None:
    template = ChatTemplate(make_tokenizer(trl_template("qwen3")))
    assert trained(template, ONE) == ["<think>\n\n</think>\n\nHello.<|im_end|>"]


def refused(template: ChatTemplate, messages: list[dict[str, str]]) -> str:
    with pytest.raises(RowError) as caught:
        trained(template, messages)
    return str(caught.value)


def test_a_template_that_rewrites_earlier_turns_is_refused_with_the_way_out(
    make_tokenizer: Make, trl_template: Load
) -> None:
    assert refused(ChatTemplate(make_tokenizer(trl_template("qwen3"))), TWO) == (
        "the chat template hides where assistant turns begin or end (turn 2 is written differently; give the "
        "tokenizer a chat template with {% generation %} tags (trl/chat_templates has some), or split the "
        "conversation so that one assistant turn is left)"
    )


def test_a_template_that_refuses_a_conversation_gives_its_own_words(
    make_tokenizer: Make, trl_template: Load
) -> None:
    template = ChatTemplate(make_tokenizer(trl_template("gemma")))
    assert refused(template, [SYSTEM, *ONE]) == (
        "the chat template refuses the conversation (System role not supported)"
    )
    assert refused(template, [user("a"), *ONE]).endswith(
        "roles must alternate user/assistant/user/assistant/...)"
    )


def test_a_header_that_a_template_cannot_tell_from_the_answer_is_refused(
    make_tokenizer: Make, tokenizer: Any
) -> None:
    chatml = tokenizer.chat_template
    headless = chatml[: chatml.index("{% if add_generation_prompt")]
    assert "it ignores add_generation_prompt" in refused(ChatTemplate(make_tokenizer(headless)), ONE)


TAGGED = (
    "{% macro turn(message) %}{{ '<' + message['role'] + '>' }}"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] }}{% endgeneration %}"
    "{{ eos_token }}\n{% else %}{{ message['content'] }}{% endif %}{% endmacro %}"
    "{% for message in messages %}{{ turn(message) }}{% endfor %}"
)


def test_generation_tags_inside_a_macro_are_found_where_they_are(make_tokenizer: Make) -> None:
    # The tags leave the end token out; it is what generation stops at, so it is trained all the same.
    assert trained(ChatTemplate(make_tokenizer(TAGGED)), TWO) == ["Hello.<|im_end|>", "Ciao.<|im_end|>"]


def test_generation_tags_that_a_filter_reaches_into_are_refused(make_tokenizer: Make) -> None:
    trimmed = TAGGED.replace("{{ eos_token }}\n", "").replace(
        "{{ turn(message) }}", "{{ turn(message) | trim }}"
    )
    template = ChatTemplate(make_tokenizer(trimmed))
    assert trained(template, ONE) == ["Hello."]
    # The filter trims the text, but not when a mark stands behind the space.
    assert "tags are nested or filtered" in refused(template, [user("Hi?"), assistant("Hello. ")])


def test_a_row_with_the_marks_we_use_is_refused(make_tokenizer: Make) -> None:
    template = ChatTemplate(make_tokenizer(TAGGED))
    assert refused(template, [user("\ufdd0"), assistant("a")]) == (
        "reserved character (U+FDD0 or U+FDD1 in the text; remove it)"
    )


def test_a_tokenizer_without_a_template_is_an_error_that_names_the_way_out(make_tokenizer: Make) -> None:
    with pytest.raises(ModelError) as caught:
        ChatTemplate(make_tokenizer(None, name_or_path="org/base"))
    assert str(caught.value) == (
        "org/base: its tokenizer has no chat template; take the instruct variant of the model, "
        "or put a chat_template.jinja into a copy of its folder"
    )


def test_a_broken_template_and_a_multimodal_one_are_one_clear_line(
    make_tokenizer: Make, trl_template: Load
) -> None:
    with pytest.raises(ModelError, match="its chat template is broken: "):
        ChatTemplate(make_tokenizer("{% for %}"))
    with pytest.raises(ModelError, match="leaves out contents that are plain text"):
        ChatTemplate(make_tokenizer(trl_template("smolvlm")))
