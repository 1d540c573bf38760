"""Data that cannot be trained on is refused before anything starts, in one clear line."""

from collections.abc import Callable
from pathlib import Path

from opensloth_core.errors import DataError

Refused = Callable[..., str]


def test_a_missing_file(refused: Refused) -> None:
    assert refused(DataError, data="no/such.jsonl") == "no/such.jsonl: no such file"


def test_a_folder_without_data(refused: Refused, tmp_path: Path) -> None:
    folder = tmp_path / "nothing"
    folder.mkdir()
    assert refused(DataError, data=str(folder)).startswith(f"{folder}: ")


def test_an_empty_file(refused: Refused, data: Path) -> None:
    data.write_text("")
    assert refused(DataError) == (
        f"{data}: is empty; accepted: JSON lines, one JSON list, csv, tsv, text, parquet or arrow, "
        "in UTF-8, also compressed"
    )


def test_a_binary_file(refused: Refused, data: Path) -> None:
    data.write_bytes(b"\x7fELF\x02\x01\x01\0")
    assert refused(DataError).startswith(f"{data}: is a binary file; accepted: JSON lines, one JSON list, ")


def test_a_broken_line_17(refused: Refused, data: Path) -> None:
    rows = [f'{{"question": "{number}?", "answer": "b"}}' for number in range(1, 21)]
    rows[16] = rows[16][:-1]
    data.write_text("\n".join(rows))
    assert len('{"question": "17?", "answer": "b"') == 33
    assert refused(DataError) == (
        "train: 1 of 20 rows (5.0%) cannot be used, over the limit of 1%: train.jsonl:17: not valid JSON "
        "(Expecting ',' delimiter at character 34); mend them or raise --max-rejected"
    )


def test_no_usable_row(refused: Refused, data: Path) -> None:
    data.write_text('{"question": "a", "answer": ""}\n')
    assert refused(DataError, max_rejected=1.0) == (
        "train: none of 1 rows can be used: train.jsonl:1: empty content (answer is empty)"
    )


def test_rows_of_no_known_shape(refused: Refused, data: Path) -> None:
    data.write_text('{"a": "b"}\n')
    assert refused(DataError) == (
        "train.jsonl: no conversation in columns: a; accepted: messages | conversations | "
        "instruction, output | prompt, completion | question, answer | text; say what is what with "
        "--map NAME=COLUMN (README: Data it understands)"
    )
