import random
from collections.abc import Iterable, Sequence

import pytest

from opensloth_core.data import chunk
from opensloth_core.data.chunk import RawChunk, raw_chunks
from opensloth_core.data.read.raw_row import RawRow
from opensloth_core.data.row import Rejected
from opensloth_core.data.shape.layout import Layout, layout_of

LAYOUT = layout_of([{"question": "a", "answer": "b"}], "sft", {}, "x")


def sources(num_rows: int, seed: int = 0, num_bytes: int = 40) -> list[bytes]:
    """Different rows of about one length."""
    generator = random.Random(seed)
    return [generator.randbytes(generator.randrange(num_bytes, 2 * num_bytes)) for _ in range(num_rows)]


def chunks(rows: Iterable[bytes], file: str = "a.jsonl", layout: Layout | None = LAYOUT) -> list[RawChunk]:
    return list(raw_chunks(file, layout, (RawRow(line, row) for line, row in enumerate(rows, 1))))


def digests(rows: Iterable[bytes]) -> list[str]:
    return [one.digest for one in chunks(rows)]


def num_changed(before: Sequence[bytes], after: Sequence[bytes]) -> int:
    """Chunks of `after` that would have to be encoded where those of `before` are known."""
    return len(set(digests(after)) - set(digests(before)))


ROWS = sources(1500)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks an eighth as large: of 32 to 256 rows."""
    monkeypatch.setattr(chunk, "MIN_ROWS", chunk.MIN_ROWS // 8)
    monkeypatch.setattr(chunk, "MAX_ROWS", chunk.MAX_ROWS // 8)
    monkeypatch.setattr(chunk, "SMALLEST_SHARE", chunk.SMALLEST_SHARE // 8)


def test_every_row_is_in_one_chunk_in_order() -> None:
    rows = sources(12_000)
    found = chunks(rows)
    assert [row.source for one in found for row in one.rows if isinstance(row, RawRow)] == rows
    assert [line for one in found for line in one.lines] == list(range(1, len(rows) + 1))
    # 12,000 rows in chunks of 256 + 512 on average.
    assert 12 <= len(found) <= 20
    assert all(256 <= len(one.rows) <= 2048 for one in found[:-1])


def test_no_rows_are_no_chunks_and_few_rows_are_one() -> None:
    assert chunks([]) == []
    assert [len(one.rows) for one in chunks(ROWS[:10])] == [10]


def test_appended_rows_keep_all_chunks_but_the_last(small_chunks: None) -> None:
    before = digests(ROWS)
    for num_appended in (1, 40, 700):
        after = digests([*ROWS, *sources(num_appended, seed=1)])
        assert after[: len(before) - 1] == before[:-1]


def test_an_edited_row_costs_its_chunk(small_chunks: None) -> None:
    generator = random.Random(1)
    changed = []
    for _ in range(40):
        place = generator.randrange(len(ROWS))
        changed.append(num_changed(ROWS, [*ROWS[:place], b"edited", *ROWS[place + 1 :]]))
    # Where the edited row is a border, or becomes one, the next chunk changes as well.
    assert changed.count(1) >= 37 and max(changed) <= 2


def test_an_inserted_and_a_removed_row_cost_their_chunk(small_chunks: None) -> None:
    generator = random.Random(2)
    changed = []
    for _ in range(30):
        place = generator.randrange(len(ROWS))
        changed.append(num_changed(ROWS, [*ROWS[:place], b"inserted", *ROWS[place:]]))
        changed.append(num_changed(ROWS, [*ROWS[:place], *ROWS[place + 1 :]]))
    # Two where the chunk ends because it is large enough.
    assert changed.count(1) >= 45 and max(changed) <= 3


def test_an_edited_border_costs_its_chunk_and_few_after_it(small_chunks: None) -> None:
    ends, end = [], 0
    for one in chunks(ROWS):
        end += len(one.rows)
        ends.append(end - 1)
    changed = [num_changed(ROWS, [*ROWS[:end], b"edited", *ROWS[end + 1 :]]) for end in ends[:-1]]
    assert max(changed) <= 4 and sum(changed) <= 2 * len(changed)


@pytest.mark.parametrize("num_bytes", [6_000, 60_000])
def test_a_row_inserted_among_long_ones_costs_few_chunks_too(num_bytes: int) -> None:
    """Also where all have one length, as documents cut into parts have."""
    generator = random.Random(3)
    rows = [generator.randbytes(num_bytes) for _ in range(24_000_000 // num_bytes)]
    # 512 KiB and 1 MiB more on average.
    assert 12 <= len(chunks(rows)) <= 24
    for _ in range(3):
        place = generator.randrange(len(rows) // 4)
        assert num_changed(rows, [*rows[:place], b"inserted" * (num_bytes // 8), *rows[place:]]) <= 3


def test_moved_blocks_of_rows_are_found_again(small_chunks: None) -> None:
    # Of 16 chunks in two halves, those at the borders of the halves change.
    assert num_changed(ROWS, [*ROWS[750:], *ROWS[:750]]) <= 4


def test_chunks_end_at_2048_rows_or_4_mib_whatever_the_rows_are() -> None:
    assert [len(one.rows) for one in chunks([b"same"] * 5000)] == [2048, 2048, 904]
    large = [bytes([number]) * (1 << 20) for number in range(10)]
    assert max(sum(map(len, (row.source for row in one.rows))) for one in chunks(large)) <= 4 << 20
    assert [len(one.rows) for one in chunks([b"a", b"b" * (9 << 20), b"c"])] == [2, 1]


def test_the_digest_is_of_the_rows_and_the_layout_and_not_of_their_place() -> None:
    (one,) = chunks(ROWS[:5])
    assert one.digest == RawChunk("other.jsonl", LAYOUT, [RawRow(9, row) for row in ROWS[:5]]).digest
    other = layout_of([{"text": "a"}], "sft", {}, "x")
    assert len({one.digest, RawChunk("a", other, one.rows).digest, RawChunk("a", None, one.rows).digest}) == 3


def test_rows_of_the_same_bytes_divided_in_another_way_have_another_digest() -> None:
    divisions = [[b"ab", b"c"], [b"a", b"bc"], [b"abc"], [b"abc", b""], [b"", b"abc"]]
    assert len({chunks(rows)[0].digest for rows in divisions}) == len(divisions)


def test_a_rejected_row_is_part_of_the_content() -> None:
    rejected = Rejected(1, "not valid UTF-8", "byte 3 of the line")
    raw = RawRow(1, str(rejected).encode())
    kinds = [[rejected], [raw], [Rejected(1, "not valid UTF-8", "byte 4 of the line")]]
    assert len({RawChunk("a", None, list(rows)).digest for rows in kinds}) == 3
    assert (
        RawChunk("a", None, [rejected]).digest == RawChunk("a", None, [Rejected(2, *_why(rejected))]).digest
    )


def _why(rejected: Rejected) -> tuple[str, str]:
    return rejected.reason, rejected.detail


def test_rejected_rows_count_towards_the_size_of_a_chunk() -> None:
    rows = [Rejected(line, "not valid UTF-8") for line in range(1, chunk.MAX_ROWS + 2)]
    assert [len(one.rows) for one in raw_chunks("a", None, rows)] == [chunk.MAX_ROWS, 1]
