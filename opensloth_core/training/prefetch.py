"""Reads micro-batches ahead, in a thread, so that a step never waits for its data."""

import threading
from collections.abc import Iterable, Iterator
from queue import Full, Queue
from typing import Generic, TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.1


class _End:
    """What comes last: nothing more, or the error that reading ended with."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class Prefetched(Generic[T]):
    """The items of an iterable, in order, of which up to `ahead` are read before they are asked for.

    An error of the iterable is raised where its item would have come. Whoever stops early closes it.
    """

    def __init__(self, items: Iterable[T], ahead: int) -> None:
        self._queue: Queue[T | _End] = Queue(maxsize=ahead)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(items,), name="prefetch", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        try:
            while True:
                item = self._queue.get()
                if isinstance(item, _End):
                    if item.error is not None:
                        raise item.error
                    return
                yield item
        finally:
            self.close()

    def close(self) -> None:
        """Stop reading."""
        self._closed.set()

    def _read(self, items: Iterable[T]) -> None:
        error: BaseException | None = None
        try:
            for item in items:
                if not self._put(item):
                    return
        except BaseException as caught:
            error = caught
        self._put(_End(error))

    def _put(self, item: T | _End) -> bool:
        """Whether the item was taken before the reader was closed."""
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=_POLL_SECONDS)
                return True
            except Full:
                continue
        return False
