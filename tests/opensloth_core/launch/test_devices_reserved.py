"""Devices as runs hold them: CPU slots, since this machine may have no GPU."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.launch.reserve import devices_for, devices_for_call

CONFIG = OpenSlothConfig.of({"data": "d.jsonl", "model": "m", "gpus": 1})


@pytest.fixture(autouse=True)
def one_cpu_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without GPUs on which one process may train."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("OPENSLOTH_CPU_SLOTS", "1")
    monkeypatch.setenv("OPENSLOTH_SLOTS_DIR", str(tmp_path / "slots"))
    return tmp_path / "slots"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def say(said: list[str]) -> Callable[[str, str], None]:
    return lambda text, level: said.append(text)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_the_second_run_waits_until_the_first_has_ended(
    said: list[str], say: Callable[[str, str], None]
) -> None:
    async def second() -> tuple[str, ...]:
        async with devices_for(CONFIG, "run y", say) as devices:
            return devices

    async with devices_for(CONFIG, "run x", say) as devices:
        waiting = asyncio.create_task(second())
        await until(lambda: said)
    assert devices == ("cpu",)
    assert said == [f"waiting for a CPU slot: cpu:0 is used by run x (process {os.getpid()})"]
    assert await waiting == ("cpu",)
    assert said[1].startswith("got cpu:0 after ")


async def test_waiting_is_cancelled_at_once_and_leaves_the_queue(
    one_cpu_slot: Path, said: list[str], say: Callable[[str, str], None]
) -> None:
    async def second() -> None:
        async with devices_for(CONFIG, "run y", say):
            raise AssertionError("the slot is not free")

    async with devices_for(CONFIG, "run x", say):
        waiting = asyncio.create_task(second())
        await until(lambda: said)
        waiting.cancel()
        async with asyncio.timeout(1):
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert list((one_cpu_slot / "queue").iterdir()) == []


def test_a_call_holds_devices_like_a_flow(said: list[str], say: Callable[[str, str], None]) -> None:
    with devices_for_call(CONFIG, "a Python program", say) as devices:
        assert devices == ("cpu",)
    with devices_for_call(CONFIG, "a Python program", say) as devices:
        assert devices == ("cpu",)
    assert said == []


def test_a_failed_run_lets_go_of_its_devices(say: Callable[[str, str], None]) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), devices_for_call(CONFIG, "run x", say):
            _ = 1 // 0


def test_without_cpu_slots_nobody_waits_and_nothing_is_written(
    one_cpu_slot: Path, say: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENSLOTH_CPU_SLOTS")
    with devices_for_call(CONFIG, "x", say) as x, devices_for_call(CONFIG, "y", say) as y:
        assert x == y == ("cpu",)
    assert not one_cpu_slot.exists()


def test_gpus_are_slots_by_what_they_are_and_not_by_their_number(
    one_cpu_slot: Path, said: list[str], say: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CONFIG.model_copy(update={"gpus": "auto"})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-a,MIG-b")
    with devices_for_call(config.model_copy(update={"gpus": (1,)}), "run x", say) as devices:
        assert devices == ("cuda:1",)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-b,MIG-c")
        with devices_for_call(config, "run y", say) as devices:
            assert devices == ("cuda:1",)
    assert said == [f"taking cuda:1: cuda:0 is used by run x (process {os.getpid()})"]


def test_a_mask_that_names_a_gpu_twice_is_refused(
    say: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-a,MIG-a")
    config = CONFIG.model_copy(update={"gpus": 2})
    with (
        pytest.raises(ConfigError, match="MIG-a,MIG-a: names one GPU twice"),
        devices_for_call(config, "x", say),
    ):
        pass
