"""The subflow of a rank, as Prefect's server knows it."""

import asyncio
import time
from pathlib import Path

import pytest
from prefect import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.launch.gang import rank_spawned
from opensloth_core.runs.directory import Launch, RunDirectory
from tasks import server_gone, show
from tasks.mark_crashed import UNFINISHED
from tasks.train_rank import train_rank_whoever_watches

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120), pytest.mark.usefixtures("prefect_api", "home")]

RANKS = 16


async def test_a_rank_that_is_cancelled_at_any_moment_is_not_left_pending(tmp_path: Path) -> None:
    run = RunDirectory.create(OpenSlothConfig.of({"data": "rows.jsonl", "model": "org/base", "gpus": RANKS}))
    run.write_launch(Launch(str(tmp_path), ("cpu",) * RANKS, "0123abcd"))

    async def cancelled_after(seconds: float, rank: int) -> None:
        rank_spawned.set(asyncio.Event())
        running = asyncio.create_task(train_rank_whoever_watches(run.path, rank, "cpu"))
        await asyncio.sleep(seconds)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    for rank in range(RANKS):
        await cancelled_after(0.03 * rank, rank)
    await asyncio.sleep(1)  # what was under way at the server
    assert [one.name for one in await flow_runs(run) if one.state_type in UNFINISHED] == []


async def test_ranks_are_started_though_the_server_is_gone_and_only_the_first_one_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_gone, "SHOW_SECONDS", 0.5)
    monkeypatch.setattr(show, "_left_alone_until", 0.0)
    run = RunDirectory.create(OpenSlothConfig.of({"data": "rows.jsonl", "model": "org/base", "gpus": 2}))
    run.write_launch(Launch(str(tmp_path), ("cpu", "cpu"), "0123abcd"))

    async def seconds_until_started(rank: int) -> float:
        began, spawned = time.monotonic(), asyncio.Event()
        rank_spawned.set(spawned)
        running = asyncio.create_task(train_rank_whoever_watches(run.path, rank, "cpu"))
        await asyncio.wait_for(spawned.wait(), 20)  # Prefect tries for a minute
        seconds = time.monotonic() - began
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return seconds

    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        assert await seconds_until_started(0) > 0.5
        assert await seconds_until_started(1) < 0.5


async def flow_runs(run: RunDirectory) -> list[FlowRun]:
    async with get_client() as client:
        found = await client.read_flow_runs()
    return [one for one in found if one.parameters.get("run_dir") == str(run.path)]
