"""What a run costs beside its ranks: `os-train`'s wall time minus the life of its rank, in parts.

    python -m tests.benchmarks.overhead [RUNS]

Trains a tiny model for two steps on cached data, with a server that is up and without one; prints medians.
Takes a minute or two on an idle machine with two cores. Uses homes, a port and a database of its own.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.kills.stage import write_inputs

ROOT = Path(__file__).parents[2]
PARTS = (
    "until the run is created",
    "until its flow begins",
    "until its rank starts",
    "rank",
    "after its rank",
    "sum",
)


def main(num_runs: int) -> None:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory() as name, socket.create_server(("127.0.0.1", 0)) as probe:
        folder, port = Path(name), str(probe.getsockname()[1])
        probe.close()
        write_inputs(folder)
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")},
            "OPENSLOTH_HOME": str(folder / "home"),
            "PREFECT_HOME": str(folder / "prefect"),
            "OPENSLOTH_SLOTS_DIR": str(folder / "slots"),
        }
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", "import prefect"], env=environment, check=True)
        importing = time.monotonic() - began
        _run(folder, environment)  # fills the caches
        alone = [_run(folder, environment) for _ in range(num_runs)]
        began = time.monotonic()
        _os_train(environment, "server", "start", "--port", port)
        starting = time.monotonic() - began
        try:
            kept = [_run(folder, environment) for _ in range(num_runs)]
        finally:
            began = time.monotonic()
            _os_train(environment, "server", "stop")
            stopping = time.monotonic() - began
    load = os.getloadavg()[0]
    print(f"{len(os.sched_getaffinity(0))} cores, load {load:.1f}; medians of {num_runs}, seconds")
    print(f"import prefect {importing:.1f}; server start {starting:.1f}, stop {stopping:.1f}")
    print(f"{'':28}{'no server':>12}{'server up':>12}")
    for part in PARTS:
        print(f"{part:28}{_median(alone, part):>12.1f}{_median(kept, part):>12.1f}")
    print(
        f"{'overhead':28}{_median(alone, 'sum') - _median(alone, 'rank'):>12.1f}"
        f"{_median(kept, 'sum') - _median(kept, 'rank'):>12.1f}"
    )


def _median(runs: list[dict[str, float]], part: str) -> float:
    return statistics.median(run[part] for run in runs)


def _run(folder: Path, environment: dict[str, str]) -> dict[str, float]:
    words = ["sft", str(folder / "colours.jsonl"), "--model", str(folder / "tiny-llama"), "--gpus", "1"]
    words += ["--max-seq-length", "192", "--max-steps", "2", "--eval-generations", "0"]
    before = set(folder.glob("home/runs/*"))
    began = time.time()
    _os_train(environment, *words)
    ended = time.time()
    (run_dir,) = set(folder.glob("home/runs/*")) - before
    events: list[dict[str, Any]] = [
        json.loads(x) for x in (run_dir / "events.jsonl").read_text().splitlines()
    ]
    first = {event["kind"]: event["time"] for event in reversed(events)}
    marks = {event["name"]: event["time"] for event in events if event["kind"] == "mark"}
    last_of_rank = max(event["time"] for event in events if "rank" in event)
    times = [began, events[0]["time"], first["flow"], marks["started"], last_of_rank, ended]
    spans = [later - sooner for sooner, later in pairwise(times)]
    return dict(zip(PARTS, [*spans, ended - began], strict=True))


def _os_train(environment: dict[str, str], *words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", *words], env=environment, cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise SystemExit(
            f"os-train {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
