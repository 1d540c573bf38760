"""Preference pairs for DPO and prompts for GRPO."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Write = Callable[..., Path]
Prepare = Callable[..., Any]


def pair(number: int) -> dict[str, str]:
    return {"prompt": f"Q{number}?", "chosen": "Yes" * (number % 7 + 1), "rejected": f"No {number}."}


def header(asked: str) -> str:
    return f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n"


def test_preference_pairs_are_dealt_evenly_with_their_prompt_once(jsonl: Write, prepared: Prepare) -> None:
    rows = [pair(number) for number in range(41)]
    found = prepared(jsonl(rows), method="dpo", num_shards=4)
    columns = ("prompt_ids", "chosen_ids", "rejected_ids")
    decoded = sorted(tuple(found.decode(row[column]) for column in columns) for row in found.rows)
    assert decoded == sorted(
        (header(row["prompt"]), f"{row['chosen']}<|im_end|>", f"{row['rejected']}<|im_end|>") for row in rows
    )
    assert sorted(map(len, found.shards)) == [10, 10, 10, 11]
    tokens = [sum(len(row[column]) for row in shard for column in columns) for shard in found.shards]
    longest = max(sum(len(row[column]) for column in columns) for row in found.rows)
    assert max(tokens) - min(tokens) <= longest
    ledger = found.ledger
    assert (ledger.packs, ledger.pack_length, ledger.padding) == (41, None, 0)
    assert ledger.tokens_in == ledger.cells == sum(tokens)
    assert ledger.tokens_masked == sum(len(row["prompt_ids"]) for row in found.rows)


def test_pairs_of_one_prompt_are_held_out_together(jsonl: Write, prepared: Prepare) -> None:
    rows = [pair(number % 10) | {"rejected": f"No {number}."} for number in range(40)]
    found = prepared(jsonl(rows), method="dpo", eval_size=4)
    held = {tuple(row["prompt_ids"]) for row in found.table("eval.arrow")}
    assert len(found.table("eval.arrow")) == 4 and len(held) == 1
    assert not held & {tuple(row["prompt_ids"]) for row in found.rows}


def test_long_answers_of_pairs_are_cut_and_counted(jsonl: Write, prepared: Prepare) -> None:
    # The prompt with its header is 1 + 5 + 3 + 2 + 1 + 10 = 22 tokens; answers are 9 and 51 with their ends.
    rows = [{"prompt": "Q1?", "chosen": "c" * 8, "rejected": "r" * 50}]
    found = prepared(jsonl(rows), method="dpo", overlong="truncate", max_seq_length=40)
    (row,) = found.rows
    assert [len(row[column]) for column in ("prompt_ids", "chosen_ids", "rejected_ids")] == [22, 9, 18]
    ledger = found.ledger
    assert (ledger.tokens_in, ledger.tokens_truncated) == (22 + 9 + 51, 33)
    assert prepared(jsonl([*rows, pair(1)]), method="dpo", max_seq_length=72).ledger.tokens_dropped == 82


def test_prompts_keep_their_columns_and_every_shard_has_as_many(jsonl: Write, prepared: Prepare) -> None:
    rows = [
        {"question": f"{number} + {number}?", "answer": number, "info": {"level": [number, None]}}
        for number in range(30)
    ]
    found = prepared(jsonl(rows), method="grpo", num_shards=3)
    assert [len(shard) for shard in found.shards] == [10, 10, 10]
    by_answer = {json.loads(row["columns"])["answer"]: row for row in found.rows}
    for number, row in enumerate(rows):
        written = by_answer[number]
        assert found.decode(written["prompt_ids"]) == header(row["question"])
        assert json.loads(written["columns"]) == {
            "answer": number,
            "info": {"level": [number, None]},
            "prompt": [{"role": "user", "content": row["question"]}],
        }
    ledger = found.ledger
    assert (ledger.tokens_trained, ledger.padding) == (0, 0)
    assert ledger.tokens_masked == ledger.cells


def test_prompts_may_be_held_out_and_sampled_too(jsonl: Write, prepared: Prepare) -> None:
    rows = [{"prompt": f"Q{number % 25}?", "answer": number} for number in range(100)]
    found = prepared(jsonl(rows), method="grpo", samples=80, eval_size=0.25)
    held = {tuple(row["prompt_ids"]) for row in found.table("eval.arrow")}
    assert not held & {tuple(row["prompt_ids"]) for row in found.rows}
    assert found.ledger.rows_kept + found.ledger.rows_held_out == 80
