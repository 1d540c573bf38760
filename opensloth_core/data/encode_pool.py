"""Encodes chunks in processes of its own, and gives the results in order.

Processes, since Python renders and parses under one lock. They start only once there is a second
chunk: small inputs are encoded right here.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from opensloth_core.data.chunk import RawChunk
from opensloth_core.data.encode import ChunkEncoder, EncodedChunk, EncodeSetup
from opensloth_core.launch.helper_process import HelperProcess

MAX_WORKERS = 32
_AHEAD = 2
"""Chunks handed out for each worker: one in work, one waiting."""


def num_workers() -> int:
    """One process for each core that this process may use."""
    return min(len(os.sched_getaffinity(0)), MAX_WORKERS)


class EncodePool:
    """Encodes with one setup; its processes end with the `with` block.

    Args:
        setup: gives the setup; asked only once there is something to encode, and while the processes
            start.
    """

    def __init__(self, setup: Callable[[], EncodeSetup]) -> None:
        self._setup = setup
        self._workers: list[HelperProcess] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.end()

    def encode(self, chunks: Iterable[RawChunk]) -> Iterator[EncodedChunk]:
        """The encoded chunks, in the order of the chunks.

        Raises:
            HelperDied: a process was killed, for instance because memory ran out.
        """
        chunks = iter(chunks)
        first = list(islice(chunks, 2))
        if len(first) < 2:
            for chunk in first:
                yield ChunkEncoder(self._setup()).encode(chunk)
            return
        self._start()
        idle: SimpleQueue[HelperProcess] = SimpleQueue()
        for worker in self._workers:
            idle.put(worker)

        def encode(chunk: RawChunk) -> EncodedChunk:
            worker = idle.get()
            try:
                worker.send(chunk)
                answer: EncodedChunk = worker.receive()
            finally:
                idle.put(worker)  # a dead one too, or the threads would wait for it for ever
            return answer

        with ThreadPoolExecutor(len(self._workers)) as threads:
            yield from _in_order(threads, encode, chain(first, chunks), len(self._workers) * _AHEAD)

    def _start(self) -> None:
        for _ in range(num_workers()):
            self._workers.append(HelperProcess("opensloth_core.data.encode_worker", "tokenizes"))
        setup = self._setup()
        for worker in self._workers:
            worker.send(setup)


def _in_order(
    threads: ThreadPoolExecutor,
    encode: Callable[[RawChunk], EncodedChunk],
    chunks: Iterator[RawChunk],
    ahead: int,
) -> Iterator[EncodedChunk]:
    waiting: deque[Future[EncodedChunk]] = deque()
    try:
        for chunk in chunks:
            waiting.append(threads.submit(encode, chunk))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
