import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from opensloth_core.data.chunk import RawChunk
from opensloth_core.data.encode import EncodeSetup
from opensloth_core.data.read.raw_row import RawRow
from opensloth_core.data.row import Rejected
from opensloth_core.data.shape.layout import layout_of
from opensloth_core.data.tokens import TokenSet, encode_into, known_chunks, read_chunks

LAYOUT = layout_of([{"text": "a"}], "sft", {}, "x")
Encode = Callable[..., int]
UNUSABLE = None


def chunk(*texts: str | None, lines: list[int] | None = None, file: str = "a.jsonl") -> RawChunk:
    """A row for each text."""
    numbers = lines or list(range(1, len(texts) + 1))
    rows = [
        Rejected(line, "not valid UTF-8")
        if text is UNUSABLE
        else RawRow(line, json.dumps({"text": text}).encode())
        for line, text in zip(numbers, texts, strict=True)
    ]
    return RawChunk(file, LAYOUT, rows)


@pytest.fixture
def encode(tmp_path: Path, byte_setup: EncodeSetup, encode_here: None) -> Encode:
    """Encodes chunks into a folder of that name; the number of chunks that were encoded."""

    def encode(name: str, *chunks: RawChunk, lender: str | None = None) -> int:
        folder = tmp_path / name
        folder.mkdir()
        known = known_chunks([tmp_path / lender]) if lender else {}
        stored = {digest: stored for digest, (stored, _) in known.items()}
        encoded: list[int] = []
        borrowed = encode_into(
            folder, f"part-{name}.arrow", chunks, lambda: byte_setup, stored, lambda: encoded.append(1)
        )
        for part in borrowed:
            (folder / part).hardlink_to(tmp_path / str(lender) / part)
        return len(encoded)

    return encode


@pytest.fixture
def texts(tmp_path: Path, byte_setup: EncodeSetup) -> Callable[[str], list[str]]:
    """What the tokens of a folder say, an example each."""
    backend = Tokenizer.from_str(byte_setup.tokenizer_json)

    def read(name: str) -> list[str]:
        table = TokenSet(tmp_path / name).table
        lengths_E = table.lengths_E
        ids, _ = table.gather(np.arange(len(table)), np.zeros_like(lengths_E), lengths_E)
        return [backend.decode(one.tolist()) for one in np.split(ids, np.cumsum(lengths_E)[:-1])]

    return read


A, B, C = chunk("a", "aa"), chunk("b"), chunk("c", UNUSABLE, "ccc")


def test_the_tokens_of_all_chunks_are_kept_in_order(
    encode: Encode, texts: Callable[[str], list[str]], tmp_path: Path
) -> None:
    assert encode("one", A, B, C) == 3
    assert texts("one") == ["a", "aa", "b", "c", "ccc"]
    tokens = TokenSet(tmp_path / "one")
    assert tokens.num_rows == 6
    assert tokens.row_E.tolist() == [0, 1, 2, 3, 5]
    assert [(number, row.reason) for number, row in tokens.rejected()] == [(4, "not valid UTF-8")]


def test_a_chunk_that_comes_twice_is_encoded_once(
    encode: Encode, texts: Callable[[str], list[str]], tmp_path: Path
) -> None:
    again = chunk("a", "aa", file="b.jsonl", lines=[8, 9])
    assert encode("one", A, B, again, A) == 2
    assert texts("one") == ["a", "aa", "b", "a", "aa", "a", "aa"]
    tokens = TokenSet(tmp_path / "one")
    assert [tokens.place(row) for row in (0, 2, 3, 4)] == [
        ("a.jsonl", 1),
        ("a.jsonl", 1),
        ("b.jsonl", 8),
        ("b.jsonl", 9),
    ]


def test_chunks_that_are_known_are_not_encoded(
    encode: Encode, texts: Callable[[str], list[str]], tmp_path: Path
) -> None:
    encode("yesterday", A, B, C)
    new = chunk("new")
    assert encode("today", new, B, A, lender="yesterday") == 1
    assert texts("today") == ["new", "b", "a", "aa"]
    assert sorted(path.name for path in (tmp_path / "today").iterdir()) == [
        "chunks.jsonl",
        "part-today.arrow",
        "part-yesterday.arrow",
    ]
    assert encode("tomorrow", new, A, lender="today") == 0
    assert texts("tomorrow") == ["new", "a", "aa"]


def test_where_all_chunks_are_known_the_setup_is_not_asked_for(encode: Encode, tmp_path: Path) -> None:
    encode("yesterday", A, B)
    known = {digest: stored for digest, (stored, _) in known_chunks([tmp_path / "yesterday"]).items()}

    def setup() -> EncodeSetup:
        raise AssertionError("asked for")

    (tmp_path / "today").mkdir()
    borrowed = encode_into(tmp_path / "today", "part-today.arrow", [B, A], setup, known)
    assert borrowed == {"part-yesterday.arrow"}
    assert [path.name for path in (tmp_path / "today").iterdir()] == ["chunks.jsonl"]


def test_without_chunks_there_are_no_rows(encode: Encode, tmp_path: Path) -> None:
    assert encode("none") == 0
    tokens = TokenSet(tmp_path / "none")
    assert (tokens.num_rows, len(tokens.table), tokens.row_E.tolist(), list(tokens.rejected())) == (
        0,
        0,
        [],
        [],
    )


@pytest.mark.parametrize(
    "lines",
    [[5, 6, 7], [5, 7, 8], [1, 1, 1], [1, 1, 3], [1, 3, 3], [2, 40, 41]],
)
def test_every_row_is_found_at_its_line(lines: list[int], encode: Encode, tmp_path: Path) -> None:
    """Lines are left out where they are blank, and come twice in a JSON list."""
    encode("one", B, chunk("a", UNUSABLE, "c", lines=lines, file="b.json"))
    tokens = TokenSet(tmp_path / "one")
    assert [tokens.place(row) for row in range(4)] == [("a.jsonl", 1), *(("b.json", line) for line in lines)]


def test_only_the_first_line_is_kept_where_the_others_follow(encode: Encode, tmp_path: Path) -> None:
    encode("one", chunk("a", "b", "c", lines=[7, 8, 9]), chunk("a", "b", "d", lines=[7, 8, 10]))
    assert [placed.lines for placed in read_chunks(tmp_path / "one")] == [(7,), (7, 8, 10)]
