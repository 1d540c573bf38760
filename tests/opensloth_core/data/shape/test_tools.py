from typing import Any

import pytest

from opensloth_core.config.data import Method
from opensloth_core.data.example import Chat, Example
from opensloth_core.data.row import RowError
from opensloth_core.data.shape.layout import layout_of
from opensloth_core.data.shape.normalise import normalise

Turn = dict[str, Any]


def user(text: str) -> Turn:
    return {"role": "user", "content": text}


def assistant(text: str, **more: Any) -> Turn:
    return {"role": "assistant", "content": text, **more}


def call(name: str, **arguments: Any) -> Turn:
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def example(row: dict[str, Any], method: Method = "sft", **mapping: str) -> Example:
    return normalise(row, layout_of([row], method, mapping, "train.jsonl"))


HI = [user("Hi?"), assistant("Hello.")]
WEATHER = {"name": "weather", "description": "Now.", "parameters": {"type": "object", "properties": {}}}
TOOLS = [{"type": "function", "function": WEATHER}]
CALLED = [
    user("Rain?"),
    assistant("", tool_calls=[call("weather", city="Oslo")]),
    {"role": "tool", "content": '{"rain": true}'},
    assistant("Yes."),
]


@pytest.mark.parametrize(
    "turns",
    [
        [
            {"from": "human", "value": "Rain?"},
            {"from": "function_call", "value": '{"name": "weather", "arguments": {"city": "Oslo"}}'},
            {"from": "observation", "value": '{"rain": true}'},
            {"from": "gpt", "value": "Yes."},
        ],
        [
            user("Rain?"),
            {
                "role": "tool_call",
                "content": '[{"name": "weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}]',
            },
            {"role": "tool_response", "content": {"rain": True}},
            assistant("Yes."),
        ],
        [
            user("Rain?"),
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}],
            },
            {"role": "ipython", "content": '{"rain": true}'},
            assistant("Yes."),
        ],
        [
            user("Rain?"),
            {"role": "assistant", "function_call": {"name": "weather", "arguments": '{"city": "Oslo"}'}},
            {"role": "function", "content": [{"type": "text", "text": '{"rain": true}'}], "name": None},
            assistant("Yes."),
        ],
        [
            user("Rain?"),
            {
                "role": "assistant",
                "tool_calls": [call("weather", city="Oslo", unit=None)],
                "function_call": None,
            },
            {"role": "tool", "content": '{"rain": true}'},
            assistant("Yes."),
        ],
    ],
)
def test_every_way_to_call_a_tool_becomes_one(turns: list[Turn]) -> None:
    assert example({"conversations": turns, "tools": TOOLS}) == Chat(CALLED, TOOLS)


def test_ids_and_names_that_bind_results_to_calls_are_kept() -> None:
    turns = [
        user("Rain?"),
        assistant("", tool_calls=[{"id": "abc123def", **call("weather")}]),
        {"role": "tool", "content": "no", "tool_call_id": "abc123def", "name": "weather"},
        assistant("No."),
    ]
    assert example({"messages": turns}) == Chat(turns)


def test_calls_in_turns_right_after_one_another_are_made_in_one_turn() -> None:
    first, second = '{"name": "a", "arguments": {}}', '{"name": "b", "arguments": null}'
    turns = [user("Go."), *({"role": "tool_call", "content": one} for one in (first, second))]
    assert example({"messages": turns}) == Chat(
        [user("Go."), assistant("", tool_calls=[call("a"), call("b")])]
    )


def test_an_assistant_text_before_a_call_stays_a_turn() -> None:
    turns = [
        user("Go."),
        assistant("I go."),
        {"from": "function_call", "value": '{"name": "a", "arguments": {}}'},
    ]
    assert example({"messages": turns}) == Chat(
        [user("Go."), assistant("I go."), assistant("", tool_calls=[call("a")])]
    )


def test_arguments_in_json_text_keep_their_nulls_and_those_of_tables_lose_them() -> None:
    text = {"function": {"name": "a", "arguments": '{"x": null}'}}
    table = {"function": {"name": "b", "arguments": {"x": None, "y": [{"z": None}, None]}}}
    row = {"messages": [user("Go."), assistant("", tool_calls=[text, table])]}
    assert example(row) == Chat(
        [user("Go."), assistant("", tool_calls=[call("a", x=None), call("b", y=[{}, None])])]
    )


@pytest.mark.parametrize(
    "tools",
    [
        TOOLS,
        [WEATHER],
        WEATHER,
        [{"type": "function", **WEATHER}],
        [{"type": "function", "function": WEATHER | {"strict": None}, "name": None}],
        '[{"name": "weather", "description": "Now.", "parameters": {"type": "object", "properties": {}}}]',
        ['{"name": "weather", "description": "Now.", "parameters": {"type": "object", "properties": {}}}'],
    ],
)
def test_tools_have_one_form(tools: Any) -> None:
    assert example({"messages": HI, "tools": tools}) == Chat(HI, TOOLS)


@pytest.mark.parametrize("tools", [None, "", " ", "[]", "{}", "null", [], {}])
def test_no_tools_are_none(tools: Any) -> None:
    assert example({"messages": HI, "tools": tools}) == Chat(HI)


def reason(row: dict[str, Any], good: dict[str, Any], method: Method = "sft", **mapping: str) -> str:
    """Why the row is rejected in a file whose first row is the good one."""
    layout = layout_of([good], method, mapping, "train.jsonl")
    with pytest.raises(RowError) as caught:
        normalise(row, layout)
    return str(caught.value)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("f(1)", "messages[1] is no JSON: Expecting value at character 1"),
        ('{"name": "f", "arguments": {"x": NaN}}', "messages[1] is no JSON: a number that JSON has not"),
        ('{"name": "f", "arguments": {"x": "\\ud800"}}', "messages[1] is no JSON: it holds half a character"),
        ("[" * 100_000, "messages[1] is no JSON: nested too deeply"),
        ("[]", "messages[1] is a list, not a call or a list of them"),
        ("3", "messages[1] is a int, not a call or a list of them"),
        ('["f"]', "messages[1] is a str"),
        ('{"arguments": {}}', "messages[1] has no name"),
        ('{"name": "f"}', "messages[1] has no arguments"),
        (
            '{"name": "f", "arguments": "x=1"}',
            "messages[1] arguments is no JSON: Expecting value at character 1",
        ),
        ('{"name": "f", "arguments": [1]}', "messages[1] arguments is a list"),
        (
            '[{"name": "f", "arguments": {}}, {"name": 1, "arguments": {}}]',
            "messages[1][1] has no name",
        ),
    ],
)
def test_a_call_that_cannot_be_read_rejects_the_row(call: str, expected: str) -> None:
    row = {"messages": [HI[0], {"from": "function_call", "value": call}, HI[1]]}
    assert reason(row, {"messages": HI}) == f"tool call cannot be read ({expected})"


def test_two_kinds_of_calls_in_one_turn_reject_the_row() -> None:
    call = {"name": "f", "arguments": {}}
    row = {"messages": [HI[0], assistant("", tool_calls=[call], function_call=call)]}
    assert reason(row, {"messages": HI}) == (
        "tool call cannot be read (messages[1] has both tool_calls and function_call)"
    )


@pytest.mark.parametrize(
    ("tools", "expected"),
    [
        ("f(x)", "tools is no JSON: Expecting value at character 1"),
        (3, "tools is a int"),
        (["f(x)"], "tools[0] is no JSON: Expecting value at character 1"),
        ([{"name": "f"}, 3], "tools[1] is a int"),
        ([{"type": "web_search"}], "tools[0] has no name"),
        ([{"type": "function", "function": "f"}], "tools[0] has no name"),
    ],
)
def test_tools_that_cannot_be_read_reject_the_row(tools: Any, expected: str) -> None:
    assert reason({"messages": HI, "tools": tools}, {"messages": HI}) == f"tools cannot be read ({expected})"
