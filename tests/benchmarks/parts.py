"""What must take next to no time: packing, opening a shard, seeing that a file has not changed.

`python -m tests.benchmarks.parts '{"folder": …, "shards": […], "packs": 9}'` opens a prepared folder as
a worker does.
"""

import json
import sys
import time
from pathlib import Path

from tests.benchmarks.measure import report, run_module
from tests.benchmarks.memory import anonymous_bytes
from tests.benchmarks.ours import new_home, preparation_of, prepare_in_child
from tests.benchmarks.rows import write_bytes, write_rows
from tests.benchmarks.table import Table

_NUM_LENGTHS = 100_000
_FILL_ROWS = 20_000
_PACK_LENGTH = 2048
_TRIES = 3
_GB = 10**9


def parts_table(large_gb: float, model: str, model_dir: Path, scratch: Path) -> Table:
    """One row a part; `large_gb` is the size of the file that is seen again."""
    table = Table(["what", "measured", "target", "note"])
    for name, seconds in _pack_seconds().items():
        table.add(f"pack {_NUM_LENGTHS} lengths, {name}", f"{seconds:.2f} s", "0.5 s", f"best of {_TRIES}")
    few = scratch / "few"
    few.mkdir()
    write_rows(few / "rows.jsonl", _FILL_ROWS)
    told = prepare_in_child(preparation_of(few / "rows.jsonl", model), new_home(few, model_dir)).report
    table.add(f"fill from {_FILL_ROWS} rows", f"{told['fill']:.2%}", "99.9 %", f"{told['packs']} packs")

    large = scratch / "large"
    large.mkdir()
    write_bytes(large / "rows.jsonl", int(large_gb * _GB))
    config, home = preparation_of(large / "rows.jsonl", model), new_home(large, model_dir)
    told = prepare_in_child(config, home).report
    again = min((prepare_in_child(config, home).report for _ in range(_TRIES)), key=lambda it: it["seconds"])
    assert again["cached"]
    note = f"whole call, cached; cold took {told['seconds']:.1f} s"
    table.add(f"unchanged {large_gb:g} GB file", f"{again['seconds']:.3f} s", "0.3 s", note)
    opened = run_module("parts", {name: told[name] for name in ("folder", "shards", "packs")}, {}).report
    table.add(
        "open its shard in the worker",
        f"{opened['seconds']:.3f} s",
        "0.5 s",
        f"{told['packs']} packs, {opened['file_bytes'] / 1e6:.0f} MB on disk, "
        f"{opened['anonymous_bytes'] / 1e6:.0f} MB more anonymous memory",
    )
    return table


def _pack_seconds() -> dict[str, float]:
    import numpy as np

    from opensloth_core.data.pack import pack

    generator = np.random.default_rng(0)
    drawn = {
        "log-normal around 220": generator.lognormal(np.log(220), 0.6, _NUM_LENGTHS),
        "uniform": generator.uniform(1, _PACK_LENGTH, _NUM_LENGTHS),
    }
    best = {}
    for name, lengths in drawn.items():
        tries = []
        whole = np.clip(lengths, 1, _PACK_LENGTH).astype(np.int64)
        for _ in range(_TRIES):
            began = time.perf_counter()
            pack(whole, _PACK_LENGTH)
            tries.append(time.perf_counter() - began)
        best[name] = min(tries)
    return best


def _open(folder: Path, shards: list[str], num_packs: int) -> None:
    import os

    import numpy as np

    from opensloth_core.training.feed import rank_dataset

    before, began = anonymous_bytes(os.getpid()), time.perf_counter()
    packs = rank_dataset(folder, shards, np.arange(num_packs))
    first, last = packs[0], packs[len(packs) - 1]
    seconds = time.perf_counter() - began
    assert len(first["input_ids"]) and len(last["input_ids"])
    report(
        seconds=seconds,
        file_bytes=sum((folder / shard).stat().st_size for shard in shards),
        anonymous_bytes=anonymous_bytes(os.getpid()) - before,
    )


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    _open(Path(asked["folder"]), asked["shards"], asked["packs"])
