import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.input_chunks import InputChunks, num_rows
from opensloth_core.data.read.fingerprint import input_digest
from opensloth_core.data.read.inputs import find_inputs
from opensloth_core.data.read.raw_row import RawRow
from opensloth_core.data.shape.shapes import Shape
from opensloth_core.errors import DataError

Write = Callable[..., Path]
ASKED = {"question": "Why?", "answer": "So."}
TOLD = {"instruction": "Tell.", "output": "There."}


def chunks_of(*paths: Path, wanted: list[int] | None = None, **settings: Any) -> InputChunks:
    config = DatasetPrepConfig.of({"data": [str(path) for path in paths], "model": "x", **settings})
    files = find_inputs(config.data, config.split)
    wanted_R = None
    if wanted is not None:
        wanted_R = np.zeros(num_rows(files), np.bool_)
        wanted_R[wanted] = True
    return InputChunks(files, config, wanted_R)


def test_each_file_has_the_layout_that_its_own_rows_show(jsonl: Write) -> None:
    first, second = jsonl([ASKED] * 3, "a.jsonl"), jsonl([TOLD] * 2, "b.jsonl")
    chunks = list(chunks_of(first, second))
    assert [(one.file, one.lines) for one in chunks] == [("a.jsonl", [1, 2, 3]), ("b.jsonl", [1, 2])]
    assert [one.layout and one.layout.shape for one in chunks] == [Shape.QUESTION_ANSWER, Shape.ALPACA]


def test_only_the_rows_that_are_wanted_are_given_counted_over_all_files(jsonl: Write) -> None:
    first, second = jsonl([ASKED] * 3, "a.jsonl"), jsonl([TOLD] * 3, "b.jsonl")
    chunks = list(chunks_of(first, second, wanted=[0, 2, 4]))
    assert [(one.file, one.lines) for one in chunks] == [("a.jsonl", [1, 3]), ("b.jsonl", [2])]
    assert [one.file for one in chunks_of(first, second, wanted=[5])] == ["b.jsonl"]


def test_the_layout_is_that_of_the_file_whichever_rows_are_wanted(jsonl: Write) -> None:
    path = jsonl([*[ASKED] * 120, *[{**TOLD, "system": "Be kind."}] * 10])
    whole = next(iter(chunks_of(path))).layout
    few = next(iter(chunks_of(path, wanted=[125]))).layout
    assert whole is not None and few is not None
    assert few.key == whole.key
    assert few.shape is Shape.QUESTION_ANSWER


def test_rows_that_were_added_since_they_were_counted_are_not_wanted(jsonl: Write) -> None:
    """The digest tells that the input changed."""
    path = jsonl([ASKED] * 3)
    chunks = chunks_of(path, wanted=[0, 2])
    with path.open("a") as file:
        file.write(json.dumps(ASKED) + "\n")
    assert [one.lines for one in chunks] == [[1, 3]]


def test_the_digest_is_that_of_all_that_was_read(jsonl: Write) -> None:
    first, second = jsonl([ASKED] * 3, "a.jsonl"), jsonl([TOLD] * 2, "b.jsonl")
    files = find_inputs([str(first), str(second)], None)
    for wanted in (None, [1]):
        chunks = chunks_of(first, second, wanted=wanted)
        list(chunks)
        assert chunks.digest == input_digest(files)
        assert chunks.bytes_read == chunks.size_bytes == first.stat().st_size + second.stat().st_size


def test_a_file_whose_rows_cannot_be_parsed_has_no_layout(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"question": "a"\n{"answer"}\n')
    (chunk,) = chunks_of(path)
    assert chunk.layout is None and len(chunk.rows) == 2


def test_a_file_without_rows_gives_no_chunk(tmp_path: Path, jsonl: Write) -> None:
    empty = tmp_path / "empty.json"
    empty.write_text("[]")
    chunks = chunks_of(empty, jsonl([ASKED]))
    assert [one.file for one in chunks] == ["train.jsonl"]
    assert chunks.digest


def test_a_file_of_no_known_shape_is_named(jsonl: Write) -> None:
    chunks = chunks_of(jsonl([ASKED], "a.jsonl"), jsonl([{"x": 1}], "b.jsonl"))
    with pytest.raises(DataError, match=r"^b\.jsonl: no conversation in columns: x"):
        list(chunks)


def test_rows_are_counted_whether_they_can_be_parsed_or_not(jsonl: Write) -> None:
    path = jsonl([ASKED, 3, ASKED])
    with path.open("a") as file:
        file.write("\n\n{broken\n")
    assert num_rows(find_inputs([str(path)], None)) == 4
    (chunk,) = chunks_of(path)
    assert [row.line for row in chunk.rows if isinstance(row, RawRow)] == [1, 2, 3, 6]
