import math
from typing import Any

import pytest

from opensloth_core.config.data import Method
from opensloth_core.data.example import Chat, Example, Prompt, Text
from opensloth_core.data.row import RowError
from opensloth_core.data.shape.layout import layout_of
from opensloth_core.data.shape.normalise import normalise

Turn = dict[str, Any]


def system(text: str) -> Turn:
    return {"role": "system", "content": text}


def user(text: str) -> Turn:
    return {"role": "user", "content": text}


def assistant(text: str, **more: Any) -> Turn:
    return {"role": "assistant", "content": text, **more}


def example(row: dict[str, Any], method: Method = "sft", **mapping: str) -> Example:
    return normalise(row, layout_of([row], method, mapping, "train.jsonl"))


HI = [user("Hi?"), assistant("Hello.")]
TEXT_PARTS = [{"type": "text", "text": "H"}, {"type": "text", "text": "i?", "image_url": None}]
BE_KIND = system("Be kind.")
WEATHER = {"name": "weather", "description": "Now.", "parameters": {"type": "object", "properties": {}}}


@pytest.mark.parametrize(
    ("row", "messages"),
    [
        ({"messages": HI, "id": 7}, HI),
        ({"messages": [BE_KIND, *HI]}, [BE_KIND, *HI]),
        ({"messages": '[{"role": "user", "content": "Hi?"}, {"from": "gpt", "value": "Hello."}]'}, HI),
        ({"conversations": [{"from": "human", "value": "Hi?"}, {"from": "gpt", "value": "Hello."}]}, HI),
        ({"conversation": [user("Hi?"), {"role": "model", "content": "Hello."}]}, HI),
        ({"conversations": [{"from": "Human", "value": "Hi?"}, {"from": "BOT", "value": "Hello."}]}, HI),
        (
            {"messages": [{"role": "developer", "content": "Be kind."}, *HI]},
            [BE_KIND, *HI],
        ),
        ({"conversations": HI, "system": "Be kind."}, [BE_KIND, *HI]),
        ({"messages": [BE_KIND, *HI], "system": "Be kind."}, [BE_KIND, *HI]),
        ({"messages": [system(""), *HI]}, [system(""), *HI]),
        ({"instruction": "Hi?", "input": "", "output": "Hello."}, HI),
        ({"instruction": "Hi?", "input": None, "output": "Hello.", "text": "### Instruction: Hi?"}, HI),
        ({"instruction": "", "input": "Hi?", "output": "Hello."}, HI),
        (
            {"instruction": "Add.", "input": "1, 2", "output": "3", "system": "Be kind."},
            [BE_KIND, user("Add.\n1, 2"), assistant("3")],
        ),
        (
            {"instruction": "Add.", "context": "1, 2", "response": "3", "category": "sums"},
            [user("Add.\n1, 2"), assistant("3")],
        ),
        (
            {"instruction": "c", "output": "d", "history": [["a", "b"]]},
            [user("a"), assistant("b"), user("c"), assistant("d")],
        ),
        (
            {"instruction": "c", "output": "d", "history": '[["a", "b"]]'},
            [user("a"), assistant("b"), user("c"), assistant("d")],
        ),
        ({"instruction": "c", "output": "d", "history": HI}, [*HI, user("c"), assistant("d")]),
        ({"prompt": "Hi?", "completion": "Hello."}, HI),
        ({"prompt": [BE_KIND, user("Hi?")], "completion": [assistant("Hello.")]}, [BE_KIND, *HI]),
        ({"prompt": user("Hi?"), "response": assistant("Hello.")}, HI),
        ({"question": "Hi?", "answer": "Hello.", "messages": None}, HI),
        (
            {"system_prompt": "Be kind.", "question": "Hi?", "response": "Hello."},
            [BE_KIND, *HI],
        ),
        ({"": 0, "question": "Hi?", "answer": "Hello."}, HI),
        (
            {"messages": [user("a\0b\x1b"), assistant("\0")]},
            [user("a\0b\x1b"), assistant("\0")],
        ),
        ({"messages": [{"role": "user", "content": TEXT_PARTS}, HI[1]]}, HI),
        (
            {"messages": [{**user("Hi?"), "tool_calls": None, "name": None, "weight": None}, HI[1]]},
            HI,
        ),
        (
            {"messages": [{"from": "human", "value": "Hi?", "role": None, "content": None}, HI[1]]},
            HI,
        ),
        ({"messages": [user("a"), user("Hi?"), HI[1]]}, [user("a"), user("Hi?"), HI[1]]),
    ],
)
def test_every_shape_of_sft_becomes_messages(row: dict[str, Any], messages: list[Turn]) -> None:
    assert example(row) == Chat(messages)


def test_plain_text_stays_text() -> None:
    assert example({"text": " Once upon a time.\n", "url": "u"}) == Text(" Once upon a time.\n")


def test_of_prompt_and_completion_only_the_completion_is_trained() -> None:
    row = {"prompt": [*HI, user("More?")], "completion": "No.", "system": "Be kind."}
    assert example(row) == Chat([BE_KIND, *HI, user("More?"), assistant("No.")], untrained=frozenset({2}))


def test_assistant_turns_of_weight_0_are_not_trained() -> None:
    first, second, third = (
        assistant("a", weight=0),
        assistant("b", weight=1, train=True),
        assistant("c", train=False),
    )
    row = {"messages": [user("1"), first, user("2"), second, {**user("3"), "weight": 0}, third]}
    assert example(row) == Chat(
        [user("1"), assistant("a"), user("2"), assistant("b"), user("3"), assistant("c")],
        untrained=frozenset({1, 5}),
    )


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_has_one_name(key: str) -> None:
    assert example({"messages": [user("Hi?"), assistant("Hello.", **{key: "Hm."})]}) == Chat(
        [user("Hi?"), assistant("Hello.", reasoning_content="Hm.")]
    )


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_no_reasoning_is_no_reasoning(key: str) -> None:
    for nothing in (None, "", " \n"):
        assert example({"messages": [user("Hi?"), assistant("Hello.", **{key: nothing})]}) == Chat(HI)


def test_mapped_columns_keys_and_roles_are_read_as_what_they_are_said_to_be() -> None:
    row = {
        "dialogue": [
            {"speaker": "Customer", "utterance": "Hi?", "role": "x"},
            {"speaker": "agent", "utterance": "Hello."},
        ],
        "persona": "Be kind.",
    }
    mapping = {
        "messages": "dialogue",
        "system": "persona",
        "role": "speaker",
        "content": "utterance",
        "role.user": "Customer",
        "role.assistant": "Agent",
    }
    assert example(row, **mapping) == Chat([BE_KIND, *HI])


def test_roles_may_be_swapped_to_train_the_user() -> None:
    swapped = {"role.user": "assistant", "role.assistant": "user"}
    assert example({"messages": [assistant("Hi?"), user("Hello.")]}, **swapped) == Chat(HI)


def test_the_chosen_answers_can_be_trained_by_sft_when_they_are_mapped() -> None:
    row = {"prompt": "Hi?", "chosen": "Hello.", "rejected": "Go away."}
    assert example(row, prompt="prompt", completion="chosen") == Chat(HI)


def test_columns_of_other_shapes_do_not_count_beside_mapped_ones() -> None:
    row = {"messages": HI, "question": "a", "answer": "b", "prompt": "c"}
    assert example(row, messages="messages") == Chat(HI)
    assert example(row, "grpo", question="question") == Prompt(
        [user("a")], {"messages": HI, "answer": "b", "prompt": "c"}
    )


def test_ten_thousand_turns_are_a_conversation() -> None:
    assert example({"messages": HI * 5000}) == Chat(HI * 5000)


def test_a_weight_that_is_no_number_is_never_taken_for_one() -> None:
    row = {"messages": [user("Hi?"), assistant("Hello.", weight=math.nan)]}
    with pytest.raises(RowError, match=r"weight is neither 0 nor 1 \(messages\[1\] weight is nan\)"):
        example(row)
