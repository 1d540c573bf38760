"""Real processes that prepare and use data while another removes all it may, all the time."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.chunk import RawChunk
from opensloth_core.store.catalog import catalog
from opensloth_core.store.removal import remove
from opensloth_core.store.verify import verify

Prepare = Callable[..., dict[str, bytes]]

SECONDS = 6
NUM_RUNS = 3

# What a run does with its data, over and over: claim it, find or make it, record its use, read all of it.
RUN = """
import json, random, sys, time
from pathlib import Path
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.data import chunk
from opensloth_core.data.encode import ChunkEncoder
from opensloth_core.data.encode_pool import EncodePool
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.runs.lock import run_lock
from opensloth_core.store.obtain import obtain
from opensloth_core.store.prepared import prepared_dir, prepared_key
from opensloth_core.store.usage import record_use
from opensloth_core.store.verify import verify

def encode(pool, chunks):
    encoder = None
    for raw in chunks:
        encoder = encoder or ChunkEncoder(pool._setup())
        yield encoder.encode(raw)

# Many small chunks, which inputs lend each other, and no processes for them.
chunk.MIN_ROWS, chunk.MAX_ROWS, chunk.SMALLEST_SHARE = 4, 32, 8
EncodePool.encode = encode
model, seconds, files = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
rounds = made = 0
end = time.monotonic() + seconds
while time.monotonic() < end or not rounds:
    config = OpenSlothConfig(
        data=random.choice(files), model=str(model), max_seq_length=random.choice((64, 128))
    )
    run = RunDirectory.create(config)
    with run_lock(run):
        key = prepared_key(config.preparation, model, 2)
        run.write_launch(Launch(str(model), ("cpu", "cpu"), key.digest))
        manifest, was_there = obtain(config.preparation, model, 2, key)
        record_use(key.digest)
        for _ in range(3):
            problem = verify(prepared_dir(key.digest))
            assert problem is None, problem
            time.sleep(0.005)
    rounds, made = rounds + 1, made + (not was_there)
print(json.dumps({"rounds": rounds, "made": made}))
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_preparation_fails_and_nothing_is_torn_while_everything_is_collected_all_the_time(
    config: DatasetPrepConfig,
    prepared_files: Prepare,
    small_chunks: list[RawChunk],
    home: Path,
    tmp_path: Path,
) -> None:
    prepared_files(config)  # remembers the tokenizer
    files = []
    for number in range(4):
        rows = [{"question": f"What is {n}?", "answer": f"It is {n}."} for n in range(40 + 15 * number)]
        files.append(tmp_path / f"{number}.jsonl")
        files[-1].write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [sys.executable, "-c", RUN, config.model, str(SECONDS), *map(str, files)]
    runs = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
        )
        for _ in range(NUM_RUNS)
    ]
    removed = {"prepared": 0, "tokens": 0}
    spared: set[str] = set()
    while any(run.poll() is None for run in runs):
        for one in remove(catalog()):
            if one.spared is None:
                removed[one.artifact.kind] += 1
            else:
                spared.add(one.spared.split()[0])
        threading.Event().wait(0.002)
    results = []
    for run in runs:
        out, errors = run.communicate(timeout=60)
        assert run.returncode == 0, errors
        results.append(json.loads(out))
    made = sum(result["made"] for result in results)
    assert made > NUM_RUNS and removed["prepared"] > NUM_RUNS and removed["tokens"] > NUM_RUNS, (
        results,
        removed,
    )
    assert "run" in spared
    assert [verify(one.folder) for one in catalog()] == [None] * len(catalog())
    assert not list(home.glob("store/*/.staging-*"))
