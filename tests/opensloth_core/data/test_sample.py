from hypothesis import given
from hypothesis import strategies as st

from opensloth_core.data.sample import Sample


def drawn(num_rows: int, size: int | None, seed: int, chunk: int = 1) -> list[int]:
    """Row numbers of a sample where every row is usable."""
    sample, added = Sample(size, seed), []
    for start in range(0, num_rows, chunk):
        numbers = [(row, sample.draw()) for row in range(start, min(start + chunk, num_rows))]
        for row, number in numbers:
            if number is not None:
                sample.add(number)
                added.append(row)
    return [added[index] for index in sample.kept()]


@given(st.integers(0, 60), st.integers(1, 20), st.integers(0, 5), st.integers(1, 20))
def test_a_sample_has_the_size_asked_for_in_order_whatever_the_chunks(
    num_rows: int, size: int, seed: int, chunk: int
) -> None:
    rows = drawn(num_rows, size, seed, chunk)
    assert len(set(rows)) == len(rows) == min(size, num_rows)
    assert rows == sorted(rows)
    assert rows == drawn(num_rows, size, seed)


def test_a_sample_depends_on_the_seed_and_is_not_the_head() -> None:
    assert drawn(100, 10, seed=1) != drawn(100, 10, seed=2)
    assert drawn(100, 10, seed=1) != list(range(10))


def test_without_a_size_every_row_is_kept() -> None:
    assert drawn(5, None, seed=1) == [0, 1, 2, 3, 4]


def test_most_rows_of_a_long_stream_are_passed_over() -> None:
    sample = Sample(10, seed=3)
    tried = 0
    for _ in range(10_000):
        number = sample.draw()
        if number is not None:
            sample.add(number)
            tried += 1
    # 10 * (1 + ln(1000)) = 79
    assert tried < 160
