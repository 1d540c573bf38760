from typing import Any

import pytest

from opensloth_core.data.example import Chat
from opensloth_core.data.render.families import FAMILIES, family_by_config, family_of, trl_template
from opensloth_core.data.render.renderer import Renderer
from opensloth_core.data.render.spec import template_spec
from opensloth_core.errors import ModelError

ONE = [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Hello."}]
HEADERS = ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
CHATML = ("<|im_start|>", "<|im_end|>")


def test_a_tokenizers_own_template_is_used_whatever_the_model_is_called(make_bytes_tokenizer: Any) -> None:
    template = "{% for m in messages %}[{{ m.content }}]{% endfor %}"
    spec = template_spec(
        make_bytes_tokenizer(template, "</s>", name="org/qwen3-tuned"), {"model_type": "gemma"}
    )
    assert (spec.source, spec.origin, spec.family) == (template, "tokenizer", "gemma")


@pytest.mark.parametrize(
    ("model_type", "tokens", "name", "family", "begins"),
    [
        ("qwen3", CHATML, "base", "qwen", "<|im_start|>user\nHi?<|im_end|>"),
        ("qwen2", CHATML, "base", "qwen", "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud."),
        ("gemma2", ("<start_of_turn>", "<end_of_turn>"), "x", "gemma", "<s><start_of_turn>user\nHi?"),
        ("gemma3_text", ("<start_of_turn>", "<end_of_turn>"), "x", "gemma", "<s><start_of_turn>user\nHi?"),
        ("llama", HEADERS, "base", "llama3", "<s><|start_header_id|>user<|end_header_id|>\n\nHi?"),
        # SmolLM2 and Llama 2 call themselves llama, too: their tokens tell.
        ("llama", CHATML, "base", "chatml", "<|im_start|>user\nHi?<|im_end|>\n<|im_start|>assistant\nHello."),
        ("", HEADERS, "base", "llama3", "<s><|start_header_id|>user"),
        ("", CHATML, "org/Qwen3-0.6B-Base", "chatml", "<|im_start|>user\nHi?"),
        ("mistral", ("[INST]", "[/INST]"), "base", "mistral", "<s>[INST] Hi? [/INST] Hello.</s>"),
        ("phi3", ("<|user|>", "<|assistant|>", "<|end|>"), "base", "phi", "<|user|>\nHi?<|end|>\n"),
        ("phi3", (*CHATML, "<|im_sep|>"), "base", "phi", "<|im_start|>user<|im_sep|>Hi?<|im_end|>"),
    ],
)
def test_a_tokenizer_without_a_template_gets_its_familys(
    model_type: str, tokens: tuple[str, ...], name: str, family: str, begins: str, make_bytes_tokenizer: Any
) -> None:
    tokenizer = make_bytes_tokenizer(None, "</s>", tokens=tokens, name=name)
    spec = template_spec(tokenizer, {"model_type": model_type})
    assert (spec.family, spec.origin) == (family, "family")
    ((text, spans),) = Renderer(spec).chat(Chat(ONE))
    assert text.startswith(begins)
    assert ["Hello." in text[start:end] for start, end in spans] == [True]


def test_every_familys_template_can_be_rendered_and_trained(make_bytes_tokenizer: Any) -> None:
    for family in FAMILIES:
        tokenizer = make_bytes_tokenizer(None, "</s>", tokens=family.tokens)
        model_type = family.model_types.split()[0].rstrip("*")
        spec = template_spec(tokenizer, {"model_type": model_type})
        assert spec.family == family.name
        assert Renderer(spec).chat(Chat(ONE))[0].spans


def test_the_name_is_asked_last(make_bytes_tokenizer: Any) -> None:
    has = {"<|im_start|>", "<|im_end|>"}.__contains__
    assert family_of("", has, "org/some-model", True).name == "chatml"  # type: ignore[union-attr]
    named = family_of("", lambda token: False, "org/Qwen2-tuned", True)
    assert named is not None and named.name == "qwen"
    assert family_of("", lambda token: False, "org/Qwen2-tuned", False) is None
    assert family_by_config("qwen2_moe", "org/gemma") == "qwen"
    assert family_by_config("", "org/gemma-2-2b") == "gemma"
    assert family_by_config("gpt2", "org/qwen") is None


def test_a_tokenizer_without_a_template_and_of_no_family_is_an_error_that_names_the_way_out(
    make_bytes_tokenizer: Any,
) -> None:
    tokenizer = make_bytes_tokenizer(None, "</s>", name="org/base")
    with pytest.raises(ModelError) as caught:
        template_spec(tokenizer, {"model_type": "llama"})
    assert str(caught.value) == (
        "org/base: its tokenizer has no chat template and is of no family whose template is known "
        "(qwen, gemma, llama3, phi, mistral, chatml); take the instruct variant of the model, put a "
        "chat_template.jinja into a copy of its folder, or train plain text"
    )
    assert template_spec(tokenizer, {"model_type": "llama"}, chats=False).source == ""


def test_a_broken_template_and_multimodal_ones_are_one_clear_line(make_bytes_tokenizer: Any) -> None:
    with pytest.raises(ModelError, match="org/model: its chat template is broken: "):
        template_spec(make_bytes_tokenizer("{% for %}", "</s>"), {})
    for name in ("smolvlm", "llava_next"):
        with pytest.raises(ModelError, match="leaves out contents that are plain text"):
            template_spec(make_bytes_tokenizer(trl_template(f"{name}.jinja"), "</s>"), {})


def test_of_several_templates_the_one_for_tools_renders_rows_with_tools(make_bytes_tokenizer: Any) -> None:
    plain = trl_template("llama3.jinja")
    with_tools = trl_template("llama3_1.jinja")
    tokenizer = make_bytes_tokenizer(None, "<|eot_id|>", tokens=HEADERS)
    tokenizer.chat_template = {"default": plain, "tool_use": with_tools}
    spec = template_spec(tokenizer, {})
    assert (spec.source, spec.tool_source) == (plain, with_tools)
    tool = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {}}}
    rendered = Renderer(spec).chat(Chat(ONE, tools=[tool]))
    assert rendered[0].text == tokenizer.apply_chat_template(ONE, tools=[tool], tokenize=False)
    assert Renderer(spec).chat(Chat(ONE))[0].text == tokenizer.apply_chat_template(ONE, tokenize=False)
    tokenizer.chat_template = {"tool_use": with_tools, "rag": plain}
    with pytest.raises(ModelError, match="none called default"):
        template_spec(tokenizer, {})


def test_what_changes_a_text_changes_the_key(make_bytes_tokenizer: Any) -> None:
    template = trl_template("llama3.jinja")
    keys = [
        template_spec(make_bytes_tokenizer(*args, name=name), {}).key
        for args, name in (
            ((template, "</s>"), "a"),
            ((template, "</s>"), "b"),
            ((template, "<|eot_id|>"), "a"),
            ((template + " ", "</s>"), "a"),
            ((template, "</s>", "<b>"), "a"),
        )
    ]
    # The first two differ in the model's name alone, which is in no text.
    assert keys[0] == keys[1]
    assert all(keys[0] != key for key in keys[2:])
