import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.prepare import Prepared, prepare_into
from opensloth_core.errors import DataError

GSM8K = Path(__file__).parents[4] / "shared" / "data" / "gsm8k_train.jsonl"
Write = Callable[..., Path]


def question(number: int) -> dict[str, str]:
    return {"question": f"What is {number}?", "answer": f"It is {number}."}


def prepare(path: Path, tokenizer: Any, num_shards: int = 2, **settings: Any) -> tuple[Path, Prepared]:
    config = DatasetPrepConfig(data=str(path), model="x", max_seq_length=128, **settings)
    folder = path.parent / "prepared"
    return folder, prepare_into(folder, config, num_shards, tokenizer)


def rows_of(folder: Path, prepared: Prepared) -> list[dict[str, list[int]]]:
    tables = [pa.ipc.open_stream(pa.memory_map(str(folder / name))).read_all() for name in prepared.shards]
    return [row for table in tables for row in table.to_pylist()]


def examples(folder: Path, prepared: Prepared, tokenizer: Any) -> list[tuple[str, str]]:
    """(text, trained text) of every example, sorted."""
    found = []
    for row in rows_of(folder, prepared):
        start = 0
        for length in row["seq_lengths"]:
            ids, labels = (row[column][start : start + length] for column in ("input_ids", "labels"))
            found.append(
                (tokenizer.decode(ids), tokenizer.decode([label for label in labels if label != -100]))
            )
            start += length
    return sorted(found)


def test_every_row_ends_in_one_pack_with_only_its_answer_trained(jsonl: Write, tokenizer: Any) -> None:
    folder, prepared = prepare(jsonl([question(number) for number in range(100, 130)]), tokenizer)
    assert examples(folder, prepared, tokenizer) == [
        (
            f"<|im_start|>user\nWhat is {number}?<|im_end|>\n"
            f"<|im_start|>assistant\nIt is {number}.<|im_end|>\n",
            f"It is {number}.<|im_end|>",
        )
        for number in range(100, 130)
    ]
    assert sorted(path.name for path in folder.iterdir()) == [
        "ledger.json",
        "packs.arrow",
        "rejected.jsonl",
        "shard-00000-of-00002.arrow",
        "shard-00001-of-00002.arrow",
    ]


def test_the_ledger_adds_up_and_matches_what_is_on_disk(jsonl: Write, tokenizer: Any) -> None:
    rows = [*map(question, range(20)), {"question": "", "answer": "a"}, question("long " * 100)]  # type: ignore[arg-type]
    folder, prepared = prepare(jsonl(rows), tokenizer, max_rejected=0.1)
    ledger = prepared.ledger
    assert (ledger.rows_read, ledger.rows_kept) == (22, 20)
    assert ledger.rows_rejected == {"empty content": 1, "longer than max_seq_length": 1}
    written = rows_of(folder, prepared)
    labels = [label for row in written for label in row["labels"]]
    assert ledger.tokens_trained == sum(label != -100 for label in labels)
    assert ledger.tokens_masked == sum(label == -100 for label in labels)
    assert ledger.packs == len(written)
    assert ledger.padding == len(written) * 128 - len(labels)
    assert ledger.tokens_dropped > 100
    packs = pa.ipc.open_stream(pa.memory_map(str(folder / "packs.arrow"))).read_all()
    assert sum(packs["num_trained"].to_pylist()) == ledger.tokens_trained
    assert json.loads((folder / "ledger.json").read_text())["rows_read"] == 22
    # 1 of 22 rows is more than 1 %.
    assert list(ledger.warnings()) == [
        "1 of 22 rows (4.5%) are longer than 128 tokens and were dropped; raise --max-seq-length to keep them"
    ]


def test_rejected_rows_are_written_with_file_line_and_reason(jsonl: Write, tokenizer: Any) -> None:
    path = jsonl([question(1), {"question": "a", "answer": None}, question(2)])
    with path.open("a") as file:
        file.write('{"question": "cut o')
    folder, _ = prepare(path, tokenizer, max_rejected="60%")
    assert [json.loads(line) for line in (folder / "rejected.jsonl").read_text().splitlines()] == [
        {
            "file": "train.jsonl",
            "line": 2,
            "reason": "columns do not fit the file's shape",
            "detail": "found: question, answer (null); the file has question, answer",
        },
        {
            "file": "train.jsonl",
            "line": 4,
            "reason": "not valid JSON",
            "detail": "Unterminated string at character 14",
        },
    ]


def error(path: Path, tokenizer: Any, **settings: Any) -> str:
    with pytest.raises(DataError) as caught:
        prepare(path, tokenizer, **settings)
    assert not list((path.parent / "prepared").glob("*.tmp"))
    return str(caught.value).replace(f"{path}", path.name)


def test_more_unusable_rows_than_allowed_stop_the_run_with_the_first_places(
    jsonl: Write, tokenizer: Any
) -> None:
    rows = [question(number) if number % 5 else {"question": "a", "answer": ""} for number in range(20)]
    assert error(jsonl(rows), tokenizer) == (
        "train.jsonl: 4 of 20 rows (20.0%) cannot be used, over the limit of 1%: "
        "train.jsonl:1: empty content (answer is empty); train.jsonl:6: empty content (answer is empty); "
        "train.jsonl:11: empty content (answer is empty); mend them or raise --max-rejected"
    )


def test_a_broken_line_17_is_named(jsonl: Write, tokenizer: Any) -> None:
    path = jsonl([question(number) for number in range(20)])
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:16], lines[16][:-1], *lines[17:]]))
    assert error(path, tokenizer) == (
        "train.jsonl: 1 of 20 rows (5.0%) cannot be used, over the limit of 1%: train.jsonl:17: "
        "not valid JSON (Expecting ',' delimiter at character 50); mend them or raise --max-rejected"
    )


def test_no_usable_row_stops_the_run_whatever_the_limit(jsonl: Write, tokenizer: Any) -> None:
    assert error(jsonl([{"question": "a", "answer": ""}]), tokenizer, max_rejected=1.0) == (
        "train.jsonl: none of 1 rows can be used: train.jsonl:1: empty content (answer is empty)"
    )
    empty = jsonl([])
    empty.write_text("[]")
    assert error(empty, tokenizer) == "train.jsonl: holds an empty list; at least one row is needed"
    assert error(jsonl([1, 2]), tokenizer) == (
        "train.jsonl: is not JSON, it starts with '1\\n2\\n'; accepted: JSON lines or one JSON list, in UTF-8"
    )


def test_only_overlong_rows_name_the_setting_to_raise(jsonl: Write, tokenizer: Any) -> None:
    message = error(jsonl([question("long " * 100)]), tokenizer)  # type: ignore[arg-type]
    assert message.startswith(
        "train.jsonl: none of 1 rows can be used (raise --max-seq-length): train.jsonl:1: longer"
    )


def test_the_same_data_gives_the_same_bytes_in_another_folder_under_another_name(
    tmp_path: Path, tokenizer: Any
) -> None:
    contents = []
    for name in ("a/train.jsonl", "b/other.json"):
        path = tmp_path / name
        path.parent.mkdir()
        path.write_text("".join(json.dumps(question(number)) + "\n" for number in range(50)))
        folder, prepared = prepare(path, tokenizer, samples=20)
        contents.append([prepared.input_digest, *(file.read_bytes() for file in sorted(folder.iterdir()))])
    assert contents[0] == contents[1]


def test_a_sample_is_of_usable_rows_in_their_order(jsonl: Write, tokenizer: Any) -> None:
    rows = [question(number) if number % 2 else {"question": "a", "answer": ""} for number in range(100, 200)]
    folder, prepared = prepare(jsonl(rows), tokenizer, samples=10, seed=1, max_rejected=0.5)
    assert prepared.ledger.rows_kept == 10
    assert prepared.ledger.rows_not_sampled == 40
    first = examples(folder, prepared, tokenizer)
    assert len(first) == 10
    folder, prepared = prepare(jsonl(rows), tokenizer, samples=10, seed=2, max_rejected=0.5)
    assert examples(folder, prepared, tokenizer) != first


def test_fewer_usable_rows_than_samples_are_all_used_and_it_is_said(jsonl: Write, tokenizer: Any) -> None:
    _, prepared = prepare(jsonl([question(1), question(2)]), tokenizer, samples=5)
    assert prepared.ledger.rows_kept == 2
    assert list(prepared.ledger.warnings()) == ["only 2 rows can be used, fewer than --samples 5"]


def test_progress_ends_every_phase(jsonl: Write, tokenizer: Any) -> None:
    path = jsonl([question(number) for number in range(10)])
    reports: dict[str, tuple[int, int | None]] = {}

    def note(phase: str, done: int, total: int | None) -> None:
        reports[phase] = (done, total)

    config = DatasetPrepConfig(data=str(path), model="x", max_seq_length=128)
    prepared = prepare_into(path.parent / "prepared", config, 1, tokenizer, note)
    size, packs = path.stat().st_size, prepared.ledger.packs
    assert reports == {"tokenize": (size, size), "pack": (10, 10), "write": (packs, packs)}


@pytest.mark.skipif(not GSM8K.exists(), reason="the shared data is not here")
def test_gsm8k_is_prepared_whole(tmp_path: Path, tokenizer: Any) -> None:
    config = DatasetPrepConfig(data=str(GSM8K), model="x", samples=500)
    prepared = prepare_into(tmp_path, config, 2, tokenizer)
    assert prepared.ledger.rows_read == 7473
    assert prepared.ledger.rows_kept == 500
    assert all("####" in trained for _, trained in examples(tmp_path, prepared, tokenizer))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dpo_en_demo.json", "preference data"),
        ("kto_en_demo.json", "KTO data"),
        ("glaive_toolcall_en_demo.json", "191 of 300 rows (63.7%) cannot be used"),
    ],
)
@pytest.mark.skipif(not GSM8K.exists(), reason="the shared data is not here")
def test_data_of_other_methods_is_refused(name: str, message: str, tmp_path: Path, tokenizer: Any) -> None:
    config = DatasetPrepConfig(data=str(GSM8K.parent / name), model="x")
    with pytest.raises(DataError) as caught:
        prepare_into(tmp_path, config, 1, tokenizer)
    assert message in str(caught.value)
