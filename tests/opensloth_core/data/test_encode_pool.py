"""Chunks through real processes; the last tests do without them where an input is small."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from opensloth_core.data import encode_pool
from opensloth_core.data.chunk import RawChunk
from opensloth_core.data.encode import ChunkEncoder, EncodeSetup
from opensloth_core.data.encode_pool import EncodePool, num_workers
from opensloth_core.data.read.raw_row import RawRow
from opensloth_core.data.shape.layout import layout_of
from opensloth_core.errors import ModelError
from opensloth_core.launch.helper_process import HelperDied

REPOSITORY = Path(__file__).parents[3]
LAYOUT = layout_of([{"text": "a"}], "sft", {}, "x")


def chunk(number: int, num_rows: int = 1) -> RawChunk:
    """Rows whose first token tells the number."""
    source = json.dumps({"text": f"{chr(ord('a') + number % 26)} {number} " + "word " * (number % 7 * 200)})
    return RawChunk("x", LAYOUT, [RawRow(line, source.encode()) for line in range(1, num_rows + 1)])


def children() -> set[int]:
    """Processes started by this one that are alive."""
    found = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {int(pid) for path in found for pid in path.read_text().split()}


def test_results_come_in_the_order_of_the_chunks_and_no_process_is_left(byte_setup: EncodeSetup) -> None:
    before = children()
    chunks = [chunk(number) for number in range(60)]
    with EncodePool(lambda: byte_setup) as pool:
        found = []
        for encoded in pool.encode(iter(chunks)):
            found.append(encoded)
            assert len(children() - before) == num_workers()
    here = ChunkEncoder(byte_setup)
    assert len(found) == 60
    for one, expected in zip(found, map(here.encode, chunks), strict=True):
        assert one.input_ids_T.tolist() == expected.input_ids_T.tolist()
        assert one.trained_T.tolist() == expected.trained_T.tolist()
        assert (one.group_E.tolist(), one.row_E.tolist()) == (
            expected.group_E.tolist(),
            expected.row_E.tolist(),
        )
    assert children() == before


def test_chunks_are_read_only_a_little_ahead(byte_setup: EncodeSetup) -> None:
    num_read = 0

    def reading() -> Iterator[RawChunk]:
        nonlocal num_read
        for number in range(50):
            num_read += 1
            yield chunk(number)

    with EncodePool(lambda: byte_setup) as pool:
        for num_done, _ in enumerate(pool.encode(reading()), 1):
            assert num_read <= num_done + 2 * num_workers()


def killed_after(kill: int, setup: EncodeSetup, num_processes: int) -> str:
    """What is said when `num_processes` processes that encode are killed after `kill` chunks."""
    before = children()
    with pytest.raises(HelperDied) as caught, EncodePool(lambda: setup) as pool:
        for number, _ in enumerate(pool.encode(chunk(number, 50) for number in range(10_000))):
            if number == kill:
                for pid in sorted(children() - before)[:num_processes]:
                    os.kill(pid, signal.SIGKILL)
    assert children() == before
    return str(caught.value)


KILLED = (
    "the process that tokenizes was killed by SIGKILL; memory may have run out, or somebody ended it: "
    "run again"
)


@pytest.mark.timeout(60)
def test_a_killed_process_is_one_clear_line(byte_setup: EncodeSetup) -> None:
    assert killed_after(5, byte_setup, num_processes=1) == KILLED


@pytest.mark.timeout(60)
def test_when_all_processes_are_killed_nothing_waits_for_ever(byte_setup: EncodeSetup) -> None:
    assert killed_after(5, byte_setup, num_processes=100) == KILLED


@pytest.mark.timeout(60)
def test_the_only_process_may_be_killed(byte_setup: EncodeSetup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode_pool, "num_workers", lambda: 1)
    assert killed_after(0, byte_setup, num_processes=1) == KILLED


@pytest.mark.timeout(60)
def test_a_consumer_that_fails_leaves_no_process_and_no_waiting_thread(byte_setup: EncodeSetup) -> None:
    before, threads = children(), threading.active_count()
    with pytest.raises(ZeroDivisionError), EncodePool(lambda: byte_setup) as pool:
        for _ in pool.encode(chunk(number, 50) for number in range(1000)):
            raise ZeroDivisionError
    assert children() == before
    deadline = time.monotonic() + 20
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == threads


@pytest.mark.timeout(60)
def test_an_input_that_breaks_off_leaves_no_process(byte_setup: EncodeSetup) -> None:
    before = children()

    def broken() -> Iterator[RawChunk]:
        yield from (chunk(number) for number in range(10))
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"), EncodePool(lambda: byte_setup) as pool:
        list(pool.encode(broken()))
    assert children() == before


def test_a_setup_that_cannot_be_had_leaves_no_process() -> None:
    before = children()

    def setup() -> EncodeSetup:
        raise ModelError("no template")

    with pytest.raises(ModelError, match=r"^no template$"), EncodePool(setup) as pool:
        list(pool.encode(map(chunk, range(3))))
    assert children() == before


def test_one_chunk_starts_no_process(byte_setup: EncodeSetup) -> None:
    before = children()
    with EncodePool(lambda: byte_setup) as pool:
        (encoded,) = pool.encode([chunk(3, 5)])
        assert children() == before
    assert len(encoded.lengths_E) == 5


def test_nothing_to_encode_asks_for_no_setup() -> None:
    def setup() -> EncodeSetup:
        raise AssertionError("asked for")

    with EncodePool(setup) as pool:
        assert list(pool.encode([])) == []


SCRIPT_WITHOUT_GUARD = """
import os, sys
from opensloth_core import run_prepare_data
print("started")
prepared = run_prepare_data({"data": sys.argv[1], "model": sys.argv[2], "gpus": 1})
print(prepared.manifest.ledger.rows_kept)
"""


def test_a_script_without_a_guard_prepares_large_inputs_too(byte_model_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    row = '{"question": "What is %d?", "answer": "It is."}\n'
    path.write_text("".join(row % number for number in range(5000)))
    script = tmp_path / "prepare.py"
    script.write_text(SCRIPT_WITHOUT_GUARD)
    environment = {**os.environ, "OPENSLOTH_HOME": str(tmp_path / "home"), "PYTHONPATH": str(REPOSITORY)}
    # Unsloth sets it in a process that imports it, as other tests of this one may have; the hub warns of it.
    environment.pop("HF_HUB_ENABLE_HF_TRANSFER", None)
    done = subprocess.run(
        [sys.executable, str(script), str(path), str(byte_model_dir)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env=environment,
        check=False,
    )
    assert done.stdout == "started\n5000\n", done.stderr
    assert done.stderr == ""
