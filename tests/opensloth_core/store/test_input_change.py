"""What became of an input's rows, told by digests of chunks; the chunks are made by hand."""

from collections.abc import Sequence

from opensloth_core.data.chunk import RawChunk
from opensloth_core.data.read.raw_row import RawRow
from opensloth_core.data.tokens import PlacedChunk, StoredChunk
from opensloth_core.store.input_change import (
    FileChange,
    file_changes,
    read_files,
    rows_in_common,
    stored_files,
)


def raw(file: str, *chunks: str) -> list[RawChunk]:
    """Chunks of a file, each given as its rows, which are letters."""
    found, line = [], 1
    for chunk in chunks:
        rows = [RawRow(line + place, letter.encode()) for place, letter in enumerate(chunk)]
        found.append(RawChunk(file, None, list(rows)))
        line += len(rows)
    return found


def placed(chunks: Sequence[RawChunk]) -> list[PlacedChunk]:
    """The same chunks as an artifact of tokens remembers them."""
    return [
        PlacedChunk(
            StoredChunk(chunk.digest, "part", 0, len(chunk.rows), 0, ()), chunk.file, (chunk.lines[0],)
        )
        for chunk in chunks
    ]


def changes(now: Sequence[RawChunk], before: Sequence[RawChunk]) -> list[FileChange]:
    earlier = stored_files(placed(before))
    return file_changes(read_files(now, [file.tail for file in earlier]), earlier)


def fates(now: Sequence[RawChunk], before: Sequence[RawChunk]) -> list[tuple[str, str, int, int]]:
    return [(one.file, one.fate, one.rows, one.rows_before) for one in changes(now, before)]


def test_rows_appended_in_the_middle_of_the_last_chunk_are_known_to_be_appended() -> None:
    assert fates(raw("f", "abc", "defg", "hi"), raw("f", "abc", "de")) == [("f", "appended", 9, 5)]


def test_rows_appended_after_a_full_last_chunk_are_known_to_be_appended() -> None:
    assert fates(raw("f", "abc", "de", "fg"), raw("f", "abc", "de")) == [("f", "appended", 7, 5)]


def test_rows_appended_to_a_single_chunk_are_known_to_be_appended() -> None:
    assert fates(raw("f", "abcd"), raw("f", "abc")) == [("f", "appended", 4, 3)]


def test_an_edit_of_the_last_row_before_appended_ones_is_no_append() -> None:
    assert fates(raw("f", "abc", "dXfg"), raw("f", "abc", "de")) == [("f", "changed", 7, 5)]


def test_an_edit_of_an_earlier_chunk_before_appended_rows_is_no_append() -> None:
    (change,) = changes(raw("f", "aXc", "defg"), raw("f", "abc", "de"))
    assert (change.fate, change.num_chunks_differing, change.rows_in_them) == ("changed", 2, 7)


def test_an_edit_is_told_by_the_chunks_that_differ() -> None:
    (change,) = changes(raw("f", "abc", "dXf", "ghi"), raw("f", "abc", "def", "ghi"))
    assert change == FileChange("f", "changed", 9, 9, num_chunks=3, num_chunks_differing=1, rows_in_them=3)


def test_removed_rows_are_no_append_whatever_they_were() -> None:
    assert fates(raw("f", "abc"), raw("f", "abc", "de")) == [("f", "changed", 3, 5)]


def test_a_chunk_that_comes_twice_differs_where_it_came_once() -> None:
    (change,) = changes(raw("f", "abc", "abc", "de"), raw("f", "abc", "de"))
    assert (change.fate, change.num_chunks_differing) == ("changed", 1)


def test_files_belong_together_by_name_then_by_content_then_as_the_last_ones() -> None:
    before = [*raw("a", "abc"), *raw("b", "def"), *raw("c", "ghi")]
    now = [*raw("a", "abcX"), *raw("renamed", "def"), *raw("other", "gXi")]
    assert fates(now, before) == [
        ("renamed", "unchanged", 3, 3),
        ("a", "appended", 4, 3),
        ("other", "changed", 3, 3),
    ]


def test_files_that_come_and_go_are_named() -> None:
    before = [*raw("a", "abc"), *raw("b", "def"), *raw("c", "ghi")]
    now = [*raw("a", "abc"), *raw("d", "jk")]
    assert fates(now, before) == [
        ("a", "unchanged", 3, 3),
        ("d", "added", 2, 0),
        ("b", "removed", 0, 3),
        ("c", "removed", 0, 3),
    ]


def test_two_files_of_one_name_are_two_files() -> None:
    now = [*raw("part.jsonl", "abc", "de"), *raw("part.jsonl", "fgh")]
    before = [*raw("part.jsonl", "abc", "de"), *raw("part.jsonl", "fg")]
    assert fates(now, before) == [("part.jsonl", "unchanged", 5, 5), ("part.jsonl", "appended", 3, 2)]


def test_rows_in_common_are_those_of_equal_chunks_and_of_proven_beginnings() -> None:
    before = stored_files(placed(raw("f", "abc", "de")))
    tails = [file.tail for file in before]
    assert rows_in_common(read_files(raw("f", "abc", "defg", "hi"), tails), before) == 5
    assert rows_in_common(read_files(raw("g", "xyz", "abc"), tails), before) == 3
    assert rows_in_common(read_files(raw("g", "xyz"), tails), before) == 0
