"""Rows to shards, with the tokenizer of which every byte is a token."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.opensloth_core.data.questions import TOKENS_AROUND, question, text_of

GSM8K = Path(__file__).parents[4] / "shared" / "data" / "gsm8k_train.jsonl"
Write = Callable[..., Path]
Prepare = Callable[..., Any]
Refuse = Callable[..., str]


def test_every_row_ends_in_one_pack_with_only_its_answer_trained(jsonl: Write, prepared: Prepare) -> None:
    found = prepared(jsonl([question(number) for number in range(100, 130)]))
    assert found.examples() == [(text_of(number), f"It is {number}.<|im_end|>") for number in range(100, 130)]
    assert sorted(path.name for path in found.folder.iterdir() if path.is_file()) == [
        "ledger.json",
        "origins.arrow",
        "rejected.jsonl",
        "shard-00000-of-00002.arrow",
        "shard-00001-of-00002.arrow",
        "units.arrow",
    ]


def test_the_ledger_adds_up_and_matches_what_is_on_disk(jsonl: Write, prepared: Prepare) -> None:
    rows = [*map(question, range(20)), {"question": "", "answer": "a"}, question("long " * 100)]
    found = prepared(jsonl(rows), max_rejected=0.1)
    ledger = found.ledger
    assert (ledger.rows_read, ledger.rows_kept, ledger.examples) == (22, 20, 20)
    assert ledger.rows_rejected == {"empty content": 1, "longer than max_seq_length": 1}
    labels = [label for row in found.rows for label in row["labels"]]
    assert ledger.tokens_trained == sum(label != -100 for label in labels)
    assert ledger.tokens_masked == sum(label == -100 for label in labels)
    assert ledger.packs == len(found.rows)
    assert ledger.padding == len(found.rows) * 128 - len(labels)
    # "What is {500 letters}?" and "It is {500 letters}."
    assert ledger.tokens_dropped == TOKENS_AROUND + 509 + 507
    assert sum(unit["num_trained"] for unit in found.table("units.arrow")) == ledger.tokens_trained
    assert json.loads((found.folder / "ledger.json").read_text()) == ledger.model_dump(mode="json")
    # 1 of 22 rows is more than 1 %.
    assert list(ledger.warnings()) == [
        "1 of 22 rows (4.5%) are longer than 128 tokens and were dropped; raise --max-seq-length to keep "
        "them, or see --overlong"
    ]


def test_units_say_where_each_pack_is(jsonl: Write, prepared: Prepare) -> None:
    found = prepared(jsonl([question("x" * (number % 40)) for number in range(50)]), num_shards=3)
    units = found.table("units.arrow")
    assert len(units) == len(found.rows)
    for unit in units:
        row = found.shards[unit["shard"]][unit["row"]]
        assert unit["num_tokens"] == len(row["input_ids"])
        assert unit["num_trained"] == sum(label != -100 for label in row["labels"])


def test_rejected_rows_are_written_with_file_line_and_reason(jsonl: Write, prepared: Prepare) -> None:
    path = jsonl([question(1), {"question": "a", "answer": None}, question("long " * 100), question(2)])
    with path.open("a") as file:
        file.write('{"question": "cut o')
    found = prepared(path, max_rejected="60%")
    assert found.rejected == [
        {
            "file": "train.jsonl",
            "line": 2,
            "reason": "columns do not fit the file's shape",
            "detail": "found: question, answer (null); the file has question, answer",
        },
        {
            "file": "train.jsonl",
            "line": 3,
            "reason": "longer than max_seq_length",
            "detail": f"{TOKENS_AROUND + 509 + 507} tokens > 128",
        },
        {
            "file": "train.jsonl",
            "line": 5,
            "reason": "not valid JSON",
            "detail": "Unterminated string at character 14",
        },
    ]


def test_more_unusable_rows_than_allowed_stop_the_run_with_the_first_places(
    jsonl: Write, error: Refuse
) -> None:
    rows = [question(number) if number % 5 else {"question": "a", "answer": ""} for number in range(20)]
    assert error(jsonl(rows)) == (
        "train: 4 of 20 rows (20.0%) cannot be used, over the limit of 1%: "
        "train.jsonl:1, train.jsonl:6, train.jsonl:11: empty content (answer is empty); "
        "mend them or raise --max-rejected"
    )


def test_a_broken_line_17_is_named(jsonl: Write, error: Refuse) -> None:
    path = jsonl([question(number) for number in range(20)])
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:16], lines[16][:-1], *lines[17:]]))
    assert error(path) == (
        "train: 1 of 20 rows (5.0%) cannot be used, over the limit of 1%: train.jsonl:17: "
        "not valid JSON (Expecting ',' delimiter at character 50); mend them or raise --max-rejected"
    )


def test_no_usable_row_stops_the_run_whatever_the_limit(jsonl: Write, error: Refuse) -> None:
    assert error(jsonl([{"question": "a", "answer": ""}]), max_rejected=1.0) == (
        "train: none of 1 rows can be used: train.jsonl:1: empty content (answer is empty)"
    )
    empty = jsonl([])
    empty.write_text("[]")
    assert error(empty) == "train: holds no row; at least one is needed"


def test_only_overlong_rows_name_the_setting_to_raise(jsonl: Write, error: Refuse) -> None:
    message = error(jsonl([question("long " * 100)]))
    assert message.startswith(
        "train: none of 1 rows can be used (raise --max-seq-length): train.jsonl:1: longer"
    )


def test_overlong_rows_do_not_count_as_unusable_ones(jsonl: Write, prepared: Prepare) -> None:
    found = prepared(jsonl([question(1), question("long " * 100)]), max_rejected=0)
    assert found.ledger.rows_rejected == {"longer than max_seq_length": 1}


def test_the_same_data_gives_the_same_bytes_in_another_folder_under_another_name(
    tmp_path: Path, prepared: Prepare
) -> None:
    contents = []
    for name in ("a/train.jsonl", "b/other.json"):
        path = tmp_path / name
        path.parent.mkdir()
        path.write_text("".join(json.dumps(question(number)) + "\n" for number in range(50)))
        found = prepared(path, samples=20, eval_size=4)
        contents.append({file.name: file.read_bytes() for file in found.folder.iterdir() if file.is_file()})
    assert len(contents[0]) == 7
    assert contents[0] == contents[1]


def test_a_sample_is_of_usable_rows_in_their_order(jsonl: Write, prepared: Prepare) -> None:
    rows = [question(number) if number % 2 else {"question": "a", "answer": ""} for number in range(100, 200)]
    settings = {"samples": 10, "max_rejected": 0.9, "num_shards": 1}
    found = prepared(jsonl(rows), seed=1, **settings)
    ledger = found.ledger
    assert ledger.rows_kept == 10
    assert ledger.rows_read == 100 == 10 + ledger.num_rejected + ledger.rows_not_sampled
    first = found.examples()
    assert len(first) == 10
    assert prepared(jsonl(rows), seed=1, **settings).examples() == first
    assert prepared(jsonl(rows), seed=2, **settings).examples() != first


def test_the_head_is_the_first_usable_rows(jsonl: Write, prepared: Prepare) -> None:
    rows = [question(number) if number % 2 else {"question": "a", "answer": ""} for number in range(100, 200)]
    found = prepared(jsonl(rows), samples=3, samples_from="head", max_rejected=0.9)
    assert found.examples() == [(text_of(n), f"It is {n}.<|im_end|>") for n in (101, 103, 105)]
    # The row behind 105 is not looked at.
    assert (found.ledger.num_rejected, found.ledger.rows_not_sampled) == (3, 94)


def test_fewer_usable_rows_than_samples_are_all_used_and_it_is_said(jsonl: Write, prepared: Prepare) -> None:
    found = prepared(jsonl([question(1), question(2)]), samples=5)
    assert found.ledger.rows_kept == 2
    assert list(found.ledger.warnings()) == ["only 2 rows can be used, fewer than --samples 5"]


def test_progress_ends_every_phase(jsonl: Write, prepared: Prepare) -> None:
    reports: dict[str, tuple[int, int | None]] = {}

    def note(phase: str, done: int, total: int | None) -> None:
        reports[phase] = (done, total)

    found = prepared(jsonl([question(number) for number in range(10)]), progress=note)
    packs = found.ledger.packs
    assert reports == {"pack": (10, 10), "write": (packs, packs)}


@pytest.mark.skipif(not GSM8K.exists(), reason="the shared data is not here")
def test_gsm8k_is_prepared_with_its_answers(tmp_path: Path, prepared: Prepare) -> None:
    path = tmp_path / "gsm8k.jsonl"
    path.write_text("".join(GSM8K.read_text().splitlines(keepends=True)[:500]))
    found = prepared(path, max_seq_length=4096)
    assert found.ledger.rows_kept == 500
    assert all("####" in trained for _, trained in found.examples())


@pytest.mark.parametrize(
    ("name", "message"),
    [("dpo_en_demo.json", "preference data"), ("kto_en_demo.json", "KTO data")],
)
@pytest.mark.skipif(not GSM8K.exists(), reason="the shared data is not here")
def test_data_of_other_methods_is_refused(name: str, message: str, error: Refuse) -> None:
    assert message in error(GSM8K.parent / name)


def test_files_of_different_layouts_and_formats_are_one_data_set(
    tmp_path: Path, jsonl: Write, prepared: Prepare
) -> None:
    asked = jsonl([question(1), {"question": "", "answer": "b"}], "a.jsonl")
    chats = tmp_path / "b.json"
    turns = [{"from": "human", "value": "What is 2?"}, {"from": "gpt", "value": "It is 2."}]
    chats.write_text(json.dumps([{"conversations": turns}, 3]))
    table = tmp_path / "c.csv"
    table.write_text("instruction,output\nWhat is 3?,It is 3.\nWhat is 4?\n")
    text = tmp_path / "d.txt"
    text.write_text("Once upon a time.\n")
    found = prepared(asked, chats, table, text, max_rejected=1.0)
    assert found.examples() == [
        *((text_of(number), f"It is {number}.<|im_end|>") for number in (1, 2, 3)),
        ("Once upon a time.<|im_end|>", "nce upon a time.<|im_end|>"),
    ]
    assert [(row["file"], row["line"], row["reason"]) for row in found.rejected] == [
        ("a.jsonl", 2, "empty content"),
        ("b.json", 1, "not a JSON object"),
        ("c.csv", 3, "wrong number of values"),
    ]
    found.ledger.check()
