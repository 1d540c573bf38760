"""Showing never decides how a run ends, nor for long when."""

import asyncio
import time

import pytest
from prefect.logging import disable_run_logger

from tasks import show
from tasks.show import show_in_time


async def test_a_server_that_fails_or_hangs_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show, "_left_alone_until", 0.0)
    begun: list[str] = []

    async def fails() -> None:
        begun.append("fails")
        raise OSError("no route")

    async def hangs() -> None:
        begun.append("hangs")
        await asyncio.sleep(3600)

    with disable_run_logger():
        await show_in_time("a", fails())
        before = time.monotonic()
        for _ in range(5):
            await show_in_time("b", hangs(), seconds=0.2)
        waited = time.monotonic() - before

    assert 0.2 <= waited < 0.8
    assert begun == ["fails", "hangs"]
