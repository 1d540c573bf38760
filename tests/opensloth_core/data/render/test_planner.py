"""Plans: when they are made, when they are used, and when they must not be."""

from typing import Any

import pytest
from jinja2 import TemplateError

from opensloth_core.data.example import Chat
from opensloth_core.data.render.compiled import CompiledTemplate
from opensloth_core.data.render.renderer import Renderer
from opensloth_core.data.render.spec import template_spec
from opensloth_core.data.render.symbol import Recorder, Unknown
from opensloth_core.data.render.symbolic_reader import SymbolicReader, differs
from opensloth_core.data.render.symbolic_template import SymbolicTemplate

Message = dict[str, Any]
A, B = "\U00100000", "\U00100001"


def chat(*contents: str) -> Chat:
    roles = ("user", "assistant") * len(contents)
    return Chat([{"role": role, "content": text} for role, text in zip(roles, contents, strict=False)])


@pytest.fixture
def count_renders(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with each run of a compiled template on real contents."""
    calls: list[int] = []
    render = CompiledTemplate.render

    def counted(self: CompiledTemplate, *args: Any, **kwargs: Any) -> str:
        calls.append(1)
        return render(self, *args, **kwargs)

    monkeypatch.setattr(CompiledTemplate, "render", counted)
    return calls


def test_the_second_row_of_a_kind_runs_no_template(get_family: Any, count_renders: list[int]) -> None:
    for name in ("smollm2", "llama3_1", "qwen3", "gemma3", "gemma4", "phi3", "gpt_oss", "mistral"):
        renderer = get_family(name).renderer
        renderer.chat(chat("Hi?", "Hello.", "Bye?", "Ciao."))
        before = len(count_renders)
        (text, _), *_ = renderer.chat(chat("One", "two", "three", "four"))
        assert len(count_renders) == before
        assert "One" in text


def test_a_row_that_takes_another_way_through_the_template_is_rendered_and_gets_a_plan_of_its_own(
    make_bytes_tokenizer: Any, count_renders: list[int]
) -> None:
    template = (
        "{% for m in messages %}<{{ m.role }}>{{ 'LOUD ' if '!' in m.content }}{{ m.content | trim }}</s>"
        "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    renderer = Renderer(template_spec(make_bytes_tokenizer(template, "</s>"), {}))
    renderer.chat(chat("a", "b"))
    before = len(count_renders)
    assert renderer.chat(chat("c!", "d"))[0].text == "<user>LOUD c!</s><assistant>d</s>"
    assert len(count_renders) > before
    before = len(count_renders)
    assert renderer.chat(chat(" e! ", " f"))[0].text == "<user>LOUD e!</s><assistant>f</s>"
    assert renderer.chat(chat("g", "h"))[0].text == "<user>g</s><assistant>h</s>"
    assert len(count_renders) == before


@pytest.mark.parametrize(
    "use",
    [
        "{{ m.content | upper }}",
        "{{ m.content | replace('a', 'b') }}",
        "{{ m.content[:3] }}",
        "{{ '%s' % m.content }}",
        "{{ m.content | length }}",
        "{{ m.content | int }}",
        "{{ m.content.title() }}",
        "{{ 'yes' if m.content in 'a haystack' else 'no' }}",
        "{{ 'yes' if m.content < 'b' else 'no' }}",
        "{{ {'a': 'yes'}[m.content] }}",
        "{{ [m.content] | string }}",
        "{{ [m.content] | sort | first }}",
        "{{ m | tojson }}",
        "{% for c in m.content %}{{ c }}{% endfor %}",
        "{{ 'yes' if messages[0].content == messages[-1].content else 'no' }}",
        "{{ m.content.split('a')[0] }}",
        "{{ 'yes' if (m.content ~ m.role).startswith('a') else 'no' }}",
    ],
)
def test_a_template_that_looks_into_contents_is_run_for_each_row(use: str, make_bytes_tokenizer: Any) -> None:
    template = "{% for m in messages %}" + use + "{{ m.content }}</s>{% endfor %}"
    renderer = Renderer(template_spec(make_bytes_tokenizer(template, "</s>"), {}), "all")
    exactly = Renderer(template_spec(make_bytes_tokenizer(template, "</s>"), {}), "all", use_plans=False)
    for row in (chat("a", "b"), chat("banana", "a"), chat("7", "7"), chat("the same", "the same")):
        try:
            expected = exactly.chat(row)
        except Exception as err:
            with pytest.raises(type(err)):
                renderer.chat(row)
        else:
            assert renderer.chat(row) == expected


def render_symbols(template: str, *contents: str) -> tuple[str, Recorder]:
    recorder = Recorder(list(contents))
    messages = [{"role": "user", "content": recorder.symbol(slot)} for slot in range(len(contents))]
    compiled = CompiledTemplate(template, {})
    return SymbolicTemplate(compiled).render(messages), recorder


def test_what_happens_to_a_content_is_recorded() -> None:
    text, recorder = render_symbols(
        "{% set text = messages[0].content %}"
        "{% if '<x>' not in text %}{{ '(' + text.strip('\n') ~ ')' }}{% endif %}",
        "hi",
    )
    assert text == f"({B})"
    assert recorder.atoms[1].strips == (("strip", "\n"),)
    assert [(guard.atom, guard.argument, guard.answer) for guard in recorder.guards.values()] == [
        (0, "<x>", False)
    ]


def test_macros_and_captured_blocks_keep_placeholders_apart_from_text() -> None:
    text, _ = render_symbols(
        "{% macro quote(x) %}'{{ x }}'{% endmacro %}"
        "{% set captured %}{{ quote(messages[0].content) }}{% endset %}"
        "{% if captured | length > 0 %}{{ captured }}{{ messages[1].content }}{% endif %}",
        "a",
        "b",
    )
    assert text == f"'{A}'{B}"


def test_a_template_that_writes_placeholders_itself_is_not_run_on_symbols() -> None:
    with pytest.raises(Unknown):
        render_symbols("{{ messages[0].content }}" + A, "a")
    with pytest.raises(Unknown):
        render_symbols("{{ 'yes' if '" + A + "' in 'x' + messages[0].content + 'y' }}", "a")


def test_a_content_may_hold_the_placeholders_own_characters(get_family: Any) -> None:
    renderer = get_family("llama3").renderer
    renderer.chat(chat("a", "b"))
    text, [(start, end)] = renderer.chat(chat(A, B))[0]
    assert text[start:end] == B + "<|eot_id|>" and A in text


@pytest.mark.parametrize(
    ("text", "prefix", "answer", "guards"),
    [
        (f"<{A}>", f"<{A}", True, 0),
        (f"<{A}>", "(", False, 0),
        # Differs for all contents that do not begin with x, which is then a guard.
        (f"<{A}>", "<x", False, 1),
        ("<x", f"<{A}>", False, 1),
        ("<x", f"<x{A}y", False, 0),
    ],
)
def test_whether_a_text_begins_with_another_is_known_for_all_rows_that_pass_the_guards(
    text: str, prefix: str, answer: bool, guards: int
) -> None:
    recorder = Recorder(["hi", "hi"])
    recorder.symbol(0)
    assert SymbolicReader(recorder).starts_with(text, prefix) is answer
    assert len(recorder.guards) == guards


@pytest.mark.parametrize(("text", "prefix"), [(f"<{A}", "<hi there"), (f"{A}", f"{B}"), ("a", f"a{A}")])
def test_where_contents_decide_whether_a_text_begins_with_another_there_is_no_plan(
    text: str, prefix: str
) -> None:
    recorder = Recorder(["hi", "hi"])
    recorder.symbol(0), recorder.symbol(1)
    with pytest.raises(Unknown):
        SymbolicReader(recorder).starts_with(text, prefix)


def test_texts_differ_when_they_do_within_the_shorter_one() -> None:
    assert differs("abc", "abd") and differs("b", "abd")
    assert not differs("ab", "abd") and not differs("abde", "abd") and not differs("", "abd")


def test_an_answer_that_begins_with_the_opened_thinking_is_cut_as_at_inference(get_family: Any) -> None:
    renderer = get_family("deepseek_r1").renderer
    renderer.chat(chat("Hi?", "Hello."))
    # Here the row's own words are what the header ends with; a plan of other rows does not fit.
    text, [(start, end)] = renderer.chat(chat("Hi?", "<think>\nHello."))[0]
    assert text[start:end].startswith("Hello.")


def test_a_template_that_is_no_jinja_raises_when_compiled() -> None:
    with pytest.raises(TemplateError):
        CompiledTemplate("{% if %}", {})
