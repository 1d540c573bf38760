"""Items come in order, a little ahead of whoever asks, and nothing is left running."""

import threading
import time
from collections.abc import Iterator

import pytest

from opensloth_core.training.prefetch import Prefetched


def numbers(read: list[int], count: int = 100) -> Iterator[int]:
    for number in range(count):
        read.append(number)
        yield number


def prefetch_threads() -> int:
    return sum(thread.name == "prefetch" for thread in threading.enumerate())


def wait_until(is_so) -> None:
    deadline = time.monotonic() + 5
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert is_so()


def test_all_items_come_in_order_and_the_thread_ends() -> None:
    assert list(Prefetched(range(50), ahead=3)) == list(range(50))
    wait_until(lambda: prefetch_threads() == 0)


def test_items_are_read_ahead_but_no_further_than_asked_for() -> None:
    read: list[int] = []
    items = iter(Prefetched(numbers(read), ahead=3))
    assert next(items) == 0
    # One is out, three wait in the queue, and one more is in the hand of the reader.
    wait_until(lambda: len(read) == 5)
    time.sleep(0.3)
    assert read == [0, 1, 2, 3, 4]


def test_an_error_comes_where_its_item_would_have() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    items = iter(Prefetched(broken(), ahead=3))
    assert next(items) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(items)


def test_who_stops_early_leaves_no_thread() -> None:
    items = iter(Prefetched(numbers([]), ahead=1))
    next(items)
    items.close()
    wait_until(lambda: prefetch_threads() == 0)
