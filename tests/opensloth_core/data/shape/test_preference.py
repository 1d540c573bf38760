from typing import Any

import pytest

from opensloth_core.config.data import Method
from opensloth_core.data.example import Example, Preference
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


def call(name: str, **arguments: Any) -> Turn:
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def example(row: dict[str, Any], method: Method = "sft", **mapping: str) -> Example:
    return normalise(row, layout_of([row], method, mapping, "train.jsonl"))


HI = [user("Hi?"), assistant("Hello.")]
BE_KIND = system("Be kind.")
WEATHER = {"name": "weather", "description": "Now.", "parameters": {"type": "object", "properties": {}}}
TOOLS = [{"type": "function", "function": WEATHER}]
CALLED = [
    user("Rain?"),
    assistant("", tool_calls=[call("weather", city="Oslo")]),
    {"role": "tool", "content": '{"rain": true}'},
    assistant("Yes."),
]
GOOD, BAD = [assistant("Hello.")], [assistant("Go away.")]
PAIR = Preference([user("Hi?")], GOOD, BAD)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"prompt": "Hi?", "chosen": "Hello.", "rejected": "Go away.", "score": 1.5}, PAIR),
        ({"prompt": [user("Hi?")], "chosen": GOOD, "rejected": BAD}, PAIR),
        ({"question": "Hi?", "chosen": "Hello.", "rejected": "Go away."}, PAIR),
        ({"instruction": "Hi?", "input": "", "chosen": "Hello.", "rejected": "Go away."}, PAIR),
        (
            {"instruction": "Add.", "input": "1, 2", "chosen": "3", "rejected": "4", "history": [["a", "b"]]},
            Preference([user("a"), assistant("b"), user("Add.\n1, 2")], [assistant("3")], [assistant("4")]),
        ),
        (
            {
                "conversations": [{"from": "human", "value": "Hi?"}],
                "chosen": {"from": "gpt", "value": "Hello."},
                "rejected": {"from": "gpt", "value": "Go away."},
            },
            PAIR,
        ),
        (
            {"messages": [*HI, user("Hi?")], "chosen": GOOD, "rejected": BAD},
            Preference([*HI, user("Hi?")], GOOD, BAD),
        ),
        ({"chosen": [user("Hi?"), *GOOD], "rejected": [user("Hi?"), *BAD]}, PAIR),
        (
            {"chosen": [*HI, user("Hi?"), *GOOD], "rejected": [*HI, user("Hi?"), *BAD]},
            Preference([*HI, user("Hi?")], GOOD, BAD),
        ),
        (
            {"chosen": [user("Hi?"), assistant("a"), *GOOD], "rejected": [user("Hi?"), assistant("a"), *BAD]},
            Preference([user("Hi?")], [assistant("a"), *GOOD], [assistant("a"), *BAD]),
        ),
        (
            {
                "prompt": "Hi?",
                "chosen": [user("Hi?"), *GOOD],
                "rejected": [user("Hi?"), *BAD],
                "messages": [user("Hi?"), *GOOD],
            },
            PAIR,
        ),
        (
            {
                "prompt": "Hi? ",
                "chosen": [BE_KIND, user("Hi?"), *GOOD],
                "rejected": [BE_KIND, user("Hi?"), *BAD],
            },
            Preference([BE_KIND, user("Hi?")], GOOD, BAD),
        ),
        (
            {"prompt": "Hi?", "chosen": [*HI, user("b"), *GOOD], "rejected": [*HI, user("b"), *BAD]},
            Preference([*HI, user("b")], GOOD, BAD),
        ),
        (
            {
                "prompt": [assistant("Ask!"), user("Hi?")],
                "chosen": [assistant("Ask!"), user("Hi?"), *GOOD],
                "rejected": [assistant("Ask!"), user("Hi?"), *BAD],
            },
            Preference([assistant("Ask!"), user("Hi?")], GOOD, BAD),
        ),
        (
            {"prompt": "Hi?", "chosen": "Hello.", "rejected": "Go away.", "system": "Be kind."},
            Preference([BE_KIND, user("Hi?")], GOOD, BAD),
        ),
        (
            {"chosen": [user("Hi?"), *GOOD], "rejected": [user("Hi?"), *BAD], "system": "Be kind."},
            Preference([BE_KIND, user("Hi?")], GOOD, BAD),
        ),
        (
            {"prompt": "Hi?", "chosen": "Hello.", "rejected": "Go away.", "tools": [WEATHER]},
            Preference([user("Hi?")], GOOD, BAD, TOOLS),
        ),
        (
            {"prompt": "Rain?", "chosen": CALLED[1:], "rejected": [*CALLED[1:3], assistant("No.")]},
            Preference([user("Rain?")], CALLED[1:], [*CALLED[1:3], assistant("No.")]),
        ),
    ],
)
def test_every_shape_of_dpo_becomes_a_pair(row: dict[str, Any], expected: Preference) -> None:
    assert example(row, "dpo") == expected


def reason(row: dict[str, Any], good: dict[str, Any], method: Method = "sft", **mapping: str) -> str:
    """Why the row is rejected in a file whose first row is the good one."""
    layout = layout_of([good], method, mapping, "train.jsonl")
    with pytest.raises(RowError) as caught:
        normalise(row, layout)
    return str(caught.value)


FULL = {"chosen": [HI[0], HI[1]], "rejected": [HI[0], {**HI[1], "content": "No."}]}
WITH_PROMPT = {"prompt": "Hi?", "chosen": "a", "rejected": "b"}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"chosen": ""}, "empty content (chosen is empty)"),
        ({"chosen": "b"}, "chosen and rejected are the same"),
        ({"prompt": HI}, "prompt ends with an assistant turn"),
        (
            {"chosen": [HI[1], HI[0]]},
            "does not end with an assistant turn (the last turn of chosen is user)",
        ),
        (
            {"chosen": [{**HI[1], "weight": 0}]},
            "weight is neither 0 nor 1 (chosen has a turn of weight 0, but an answer is trained whole)",
        ),
        (
            {"chosen": HI[0]},
            "chosen and rejected share no prompt (they differ from the first question on)",
        ),
        (
            FULL | {"prompt": "Who?"},
            "chosen or rejected repeats another prompt (to take what they share, name them alone: "
            "--map chosen=… --map rejected=…)",
        ),
        (
            {"rejected": None},
            "columns do not fit the file's shape (found: prompt, chosen, rejected (null); "
            "the file has prompt, chosen, rejected)",
        ),
        ({"rejected": 3}, "not a list of turns (rejected is a int)"),
    ],
)
def test_a_pair_that_cannot_be_used_says_why(row: dict[str, Any], expected: str) -> None:
    assert reason(WITH_PROMPT | row, WITH_PROMPT, "dpo") == expected


@pytest.mark.parametrize(
    ("chosen", "rejected", "expected"),
    [
        (HI, HI, "chosen and rejected are the same"),
        (
            HI,
            [*HI, HI[0], HI[1]],
            "chosen and rejected share no prompt (one of them is the beginning of the other)",
        ),
        (
            HI,
            [BE_KIND, *HI],
            "chosen and rejected share no prompt (they differ from the first question on)",
        ),
        (
            [HI[1]],
            [{**HI[1], "content": "No."}],
            "chosen and rejected share no prompt (they differ from the first question on)",
        ),
        (
            [BE_KIND, *HI],
            [BE_KIND, {**HI[0], "content": "Who?"}, HI[1]],
            "answer does not begin with an assistant turn (chosen goes on with a user turn)",
        ),
        (
            "\n\nHuman: Hi?\n\nAssistant: Hello.",
            "\n\nHuman: Hi?\n\nAssistant: No.",
            "chosen and rejected share no prompt "
            "(chosen is text; without a prompt it must be a conversation)",
        ),
    ],
)
def test_answers_without_a_prompt_column_must_share_a_prompt(
    chosen: Any, rejected: Any, expected: str
) -> None:
    assert reason({"chosen": chosen, "rejected": rejected}, FULL, "dpo") == expected
