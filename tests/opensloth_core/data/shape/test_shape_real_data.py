import json
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.config.data import Method
from opensloth_core.data.example import Chat, Preference, Prompt
from opensloth_core.data.shape.layout import layout_of
from opensloth_core.data.shape.normalise import normalise
from opensloth_core.errors import DataError

DATA = Path(__file__).parents[5] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data is not here")


def rows_of(name: str) -> list[dict[str, Any]]:
    text = (DATA / name).read_text(encoding="utf-8")
    if name.endswith(".jsonl"):
        return [json.loads(line) for line in text.splitlines()]
    return json.loads(text)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("name", "method", "kind", "num_rows", "num_turns"),
    [
        ("alpaca_en_demo.json", "sft", Chat, 999, 2 * 999),
        ("identity.json", "sft", Chat, 91, 2 * 91),
        ("gsm8k_train.jsonl", "sft", Chat, 7473, 2 * 7473),
        ("glaive_toolcall_en_demo.json", "sft", Chat, 300, 1914),
        ("dpo_en_demo.json", "dpo", Preference, 300, 906),
        ("gsm8k_train.jsonl", "grpo", Prompt, 7473, 7473),
        ("alpaca_en_demo.json", "grpo", Prompt, 999, 999),
        ("kto_en_demo.json", "grpo", Prompt, 300, 974 - 300),
        ("dpo_en_demo.json", "grpo", Prompt, 300, 906),
    ],
)
def test_every_row_of_a_real_file_comes_through_whole(
    name: str, method: Method, kind: type, num_rows: int, num_turns: int
) -> None:
    rows = rows_of(name)
    layout = layout_of(rows[:100], method, {}, name)
    examples = [normalise(row, layout) for row in rows]
    assert len(examples) == num_rows
    assert {type(example) for example in examples} == {kind}
    turns = [example.messages if isinstance(example, Chat) else example.prompt for example in examples]  # type: ignore[union-attr]
    assert sum(map(len, turns)) == num_turns


def test_every_call_of_the_tool_data_is_read() -> None:
    rows = rows_of("glaive_toolcall_en_demo.json")
    layout = layout_of(rows[:100], "sft", {}, "glaive")
    names = [turn["from"] for row in rows for turn in row["conversations"]]
    chats = [normalise(row, layout) for row in rows]
    turns = [turn for chat in chats if isinstance(chat, Chat) for turn in chat.messages]
    calls = [turn for turn in turns if "tool_calls" in turn]
    assert len(calls) == names.count("function_call") > 0
    assert sum(turn["role"] == "tool" for turn in turns) == names.count("observation")
    assert all(isinstance(turn["tool_calls"][0]["function"]["arguments"], dict) for turn in calls)
    num_with_tools = sum(json.loads(row["tools"]) != [] for row in rows)
    assert sum(chat.tools is not None for chat in chats if isinstance(chat, Chat)) == num_with_tools > 0


@pytest.mark.parametrize(
    ("name", "method", "kind"),
    [
        ("kto_en_demo.json", "sft", "KTO data"),
        ("kto_en_demo.json", "dpo", "KTO data"),
        ("dpo_en_demo.json", "sft", "preference data"),
        ("alpaca_en_demo.json", "dpo", "no pair of answers in columns: instruction, input, output"),
    ],
)
def test_real_data_of_another_method_is_refused(name: str, method: Method, kind: str) -> None:
    with pytest.raises(DataError, match=f"^{name}: {kind}"):
        layout_of(rows_of(name), method, {}, name)
