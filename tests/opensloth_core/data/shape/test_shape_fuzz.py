"""Rows of every shape, mutated at random: each ends as a sound example or as a counted reason."""

import copy
import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opensloth_core.config.data import Method
from opensloth_core.data.example import Chat, Example, Preference, Prompt, Text
from opensloth_core.data.row import RowError
from opensloth_core.data.shape import reasons
from opensloth_core.data.shape.layout import layout_of
from opensloth_core.data.shape.normalise import normalise
from opensloth_core.errors import DataError

USER = {"role": "user", "content": "Hi?"}
ASSISTANT = {"role": "assistant", "content": "Hello.", "weight": 1, "reasoning_content": "Hm."}
OTHER = {"role": "assistant", "content": "No."}
SYSTEM = {"role": "system", "content": [{"type": "text", "text": "Be kind."}]}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": {"x": [1, None]}}}
SHAREGPT = [
    {"from": "human", "value": "Hi?"},
    {"from": "function_call", "value": '{"name": "f", "arguments": {"x": 1}}'},
    {"from": "observation", "value": '{"y": 2}'},
    {"from": "gpt", "value": "Hello."},
]
CALLED = [
    SYSTEM,
    USER,
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "content": {"y": 2}, "tool_call_id": "c1", "name": "f"},
    ASSISTANT,
]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"properties": {"x": {}}}}}]
SEEDS: list[tuple[dict[str, Any], Method, dict[str, str]]] = [
    ({"messages": CALLED, "tools": TOOLS}, "sft", {}),
    ({"messages": [USER, {**OTHER, "weight": 0}, USER, ASSISTANT], "system": "Be kind."}, "sft", {}),
    ({"conversations": SHAREGPT, "tools": json.dumps(TOOLS), "system": ""}, "sft", {}),
    ({"conversations": json.dumps(SHAREGPT)}, "sft", {}),
    ({"instruction": "a", "input": "b", "output": "c", "history": [["d", "e"]]}, "sft", {}),
    ({"prompt": [USER], "completion": [ASSISTANT]}, "sft", {}),
    ({"question": "a", "answer": "b"}, "sft", {}),
    ({"text": "a"}, "sft", {}),
    ({"talk": [{"who": "A", "says": "a"}, {"who": "B", "says": "b"}]}, "sft", {
        "messages": "talk", "role": "who", "content": "says", "role.user": "A", "role.assistant": "B",
    }),
    ({"prompt": "a", "chosen": "b", "rejected": "c", "system": "d"}, "dpo", {}),
    ({"prompt": "Hi?", "chosen": [USER, ASSISTANT], "rejected": [USER, OTHER]}, "dpo", {}),
    ({"chosen": [*CALLED, USER, ASSISTANT], "rejected": [*CALLED, USER, OTHER]}, "dpo", {}),
    ({"conversations": SHAREGPT[:1], "chosen": SHAREGPT[3], "rejected": OTHER, "tools": TOOLS}, "dpo", {}),
    ({"instruction": "a", "input": "b", "history": [["d", "e"]], "chosen": "b", "rejected": "c"}, "dpo", {}),
    ({"prompt": [SYSTEM, USER], "answer": {"a": [1]}, "tools": TOOLS}, "grpo", {}),
    ({"messages": CALLED, "answer": 1.5}, "grpo", {}),
    ({"conversations": SHAREGPT}, "grpo", {}),
    ({"question": "a", "answer": "b"}, "grpo", {}),
]  # fmt: skip
REASONS = {value for name, value in vars(reasons).items() if name.isupper()}

# Words that steer a mutation into the branches of the code, beside arbitrary text.
KEYS = (
    "role from content value weight train tool_calls function_call function name arguments reasoning type "
    "text image images tools messages chosen rejected label prompt system user assistant tool history"
)
SNIPPETS = ["", " ", "\0", "\x1b[", "[", "[]", "{}", "null", '[{"role": "user"}]', "NaN", "[" * 5000]
WORDS = st.sampled_from([*KEYS.split(), *SNIPPETS, '{"name": "f", "arguments": "{"}'])
TEXTS = st.one_of(WORDS, st.text(max_size=5))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, 1, 10**400, 10**1500, -1]),
    st.floats(),
    TEXTS,
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container and key or index of a nested value."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [place for key in keys for place in [(value, key), *places(value[key])]]


@st.composite
def mutated(draw: st.DrawFn) -> tuple[dict[str, Any], Method, dict[str, str], dict[str, Any]]:
    seed, method, mapping = draw(st.sampled_from(SEEDS))
    row = copy.deepcopy(seed)
    for _ in range(draw(st.integers(1, 4))):
        if not (found := places(row)):
            break
        container, key = draw(st.sampled_from(found))
        action = draw(st.sampled_from(["replace", "remove", "wrap", "unwrap", "as text", "add", "repeat"]))
        if action == "replace":
            container[key] = draw(VALUES)
        elif action == "remove":
            del container[key]
        elif action == "wrap":
            container[key] = draw(st.sampled_from([[container[key]], {"text": container[key]}]))
        elif action == "unwrap" and container[key] and isinstance(container[key], list):
            container[key] = container[key][0]
        elif action == "as text":
            container[key] = json.dumps(container[key])
        elif isinstance(container, dict):
            container[draw(TEXTS)] = draw(VALUES) if action == "add" else copy.deepcopy(container[key])
        else:
            container.insert(key, draw(VALUES) if action == "add" else copy.deepcopy(container[key]))
    return row, method, mapping, seed


def check_messages(messages: list[dict[str, Any]]) -> None:
    known = {"role", "content", "tool_calls", "reasoning_content", "name", "tool_call_id"}
    for message in messages:
        assert message.keys() <= known
        assert message["role"] in {"system", "user", "assistant", "tool"}
        assert type(message["content"]) is str
        assert type(message.get("reasoning_content", "")) is str
        assert type(message.get("name", "")) is type(message.get("tool_call_id", "")) is str
        if message["role"] == "assistant":
            assert message["content"].strip() or message["tool_calls"]
        for call in message.get("tool_calls", []):
            assert call.keys() - {"id"} == {"type", "function"}
            assert call["function"].keys() == {"name", "arguments"}
            assert type(call["function"]["name"]) is str
            assert type(call["function"]["arguments"]) is dict


def check(example: Example) -> None:
    """What the later stages rely on."""
    json.dumps(asdict(example), default=sorted)
    if isinstance(example, Text):
        assert example.text.strip()
        return
    for tool in example.tools or []:
        assert tool.keys() == {"type", "function"}
        assert tool["function"]["name"].strip()
    if isinstance(example, Chat):
        check_messages(example.messages)
        assistants = {i for i, turn in enumerate(example.messages) if turn["role"] == "assistant"}
        assert example.messages[-1]["role"] == "assistant"
        assert example.untrained < assistants
        return
    check_messages(example.prompt)
    assert example.prompt[-1]["role"] != "assistant"
    if isinstance(example, Preference):
        assert example.chosen != example.rejected
        for answer in (example.chosen, example.rejected):
            check_messages(answer)
            assert answer[0]["role"] == answer[-1]["role"] == "assistant"


@pytest.mark.parametrize(("row", "method", "mapping"), SEEDS)
def test_the_rows_that_are_mutated_are_good(
    row: dict[str, Any], method: Method, mapping: dict[str, str]
) -> None:
    check(normalise(row, layout_of([row], method, mapping, "x")))


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_a_mutated_row_ends_as_a_sound_example_or_a_known_reason(
    case: tuple[dict[str, Any], Method, dict[str, str], dict[str, Any]],
) -> None:
    row, method, mapping, good = case
    before = copy.deepcopy(row)
    try:
        example = normalise(row, layout_of([good], method, mapping, "x"))
    except RowError as err:
        assert err.rejected(1).reason in REASONS
    else:
        check(example)
        if isinstance(example, Prompt):
            kept = {name: value for name, value in example.columns.items() if name in row}
            assert repr(kept) == repr({name: before[name] for name in kept})
    assert repr(row) == repr(before)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_a_file_of_mutated_rows_has_a_layout_or_one_clear_error(
    case: tuple[dict[str, Any], Method, dict[str, str], dict[str, Any]],
) -> None:
    row, method, mapping, good = case
    for rows in ([row], [good, row]):
        try:
            assert layout_of(rows, method, mapping, "x").describe()
        except DataError as err:
            assert "\n" not in str(err)
            assert len(str(err)) < 1500


@given(st.recursive(SCALARS, lambda inner: st.dictionaries(WORDS, inner, max_size=4), max_leaves=20))
def test_arbitrary_objects_are_no_trouble(value: Any) -> None:
    row = value if isinstance(value, dict) else {"messages": value}
    for good, method, mapping in SEEDS:
        try:
            check(normalise(row, layout_of([good], method, mapping, "x")))
        except RowError as err:
            assert err.rejected(1).reason in REASONS
