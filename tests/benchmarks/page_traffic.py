"""What showing a run in Prefect costs its ranks: `python -m tests.benchmarks.page_traffic [RANKS SECONDS]`.

Stand-ins for ranks take 10 steps a second, and after each write the events and the lines of a real one. What
they spend on that is the cost within a step. A real flow follows them at the same time, on the server of
PREFECT_API_URL: its processor time is what showing takes from the machine, beside the ranks.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from opensloth_core.runs.events import EventLog

STEPS_A_SECOND = 10


def be_a_rank(events_path: Path, rank: int, world_size: int, seconds: float) -> None:
    """Take steps without any work; prints the share of a step's time that telling of it took."""
    events, told = EventLog(events_path), 0.0
    num_steps = int(seconds * STEPS_A_SECOND)
    for step in range(1, num_steps + 1):
        time.sleep(1 / STEPS_A_SECOND)
        begun = time.perf_counter()
        events.write(
            "step",
            rank=rank,
            world_size=world_size,
            step=step,
            total_steps=num_steps,
            loss=2.0 / step,
            grad_norm=0.5,
            learning_rate=1e-4,
            tokens=8192,
            trained_tokens=4096,
            tokens_per_second=81920.0,
            step_seconds=0.1,
            memory_bytes=5_000_000_000,
            data_wait_seconds=0.001,
            metrics={"num_tokens": 8192.0 * step, "mean_token_accuracy": 0.6},
        )
        print(f"step {step}: loss {2.0 / step:.4f}", flush=True)
        told += time.perf_counter() - begun
    print(json.dumps({"share": told / num_steps * STEPS_A_SECOND}), flush=True)


async def watch(world_size: int, seconds: float) -> None:
    """Follow such ranks as a run's flow does, and print what it cost."""
    from prefect import flow, task

    from opensloth_core.config.opensloth import OpenSlothConfig
    from opensloth_core.launch.process import run_process
    from opensloth_core.runs.directory import Launch, RunDirectory
    from tasks.limited_lines import limited
    from tasks.run_logger import subflow_line_logger
    from tasks.training_progress import follow_training

    run = RunDirectory.create(OpenSlothConfig.of({"data": ["none"], "model": "none", "gpus": world_size}))
    run.write_launch(Launch("none", ("cuda:0",) * world_size, "none"))
    shares: list[float] = []

    @flow(flow_run_name="rank {rank}")
    async def rank_flow(rank: int) -> None:
        with limited(subflow_line_logger(), run.log_path(rank)) as show:

            def on_line(line: str) -> None:
                show(line)
                if line.startswith("{"):
                    shares.append(json.loads(line)["share"])

            arguments = ["rank", str(run.events_path), str(rank), str(world_size), str(seconds)]
            name = "tests.benchmarks.page_traffic"
            await run_process(f"rank {rank}", name, arguments, {}, run.log_path(rank), on_line)

    @task
    async def train() -> None:
        ended = asyncio.Event()
        follower = asyncio.create_task(follow_training(run, ended))
        begun, used = time.monotonic(), time.process_time()
        await asyncio.gather(*(rank_flow(rank) for rank in range(world_size)))
        used, took = time.process_time() - used, time.monotonic() - begun
        ended.set()
        last = time.monotonic()
        await follower
        print(f"{world_size} ranks at {STEPS_A_SECOND} steps/s for {took:.0f} s")
        print(f"in a step, on the slowest rank: {100 * max(shares):.2f} % of its time")
        print(f"in the flow's process: {100 * used / took:.1f} % of one core")
        print(f"after the last step: {time.monotonic() - last:.2f} s")

    @flow
    async def traffic() -> None:
        await train()

    await traffic()


if __name__ == "__main__":
    if sys.argv[1:2] == ["rank"]:
        be_a_rank(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
    else:
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
        asyncio.run(watch(*map(int, sys.argv[1:3] or ("2", "30"))))
