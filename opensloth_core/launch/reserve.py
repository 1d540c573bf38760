"""Devices for a run, held while it prepares its data and trains.

They are taken before preparation: how many there are decides the shards of the data, and the ranks load the
model meanwhile. On the CPU nobody waits for anybody, unless `OPENSLOTH_CPU_SLOTS` says how many processes may
train at the same time on a machine.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.launch.devices import num_cpu_slots, visible_gpus, wanted_devices
from opensloth_core.launch.gpus import gpu_ids, physical_ids
from opensloth_core.launch.request import Request, Say
from opensloth_core.launch.slots import Slots, slots_dir

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class _Unlimited:
    """Devices that nobody has to wait for."""

    devices: tuple[str, ...]

    def is_granted(self) -> bool:
        return True


@asynccontextmanager
async def devices_for(config: OpenSlothConfig, name: str, say: Say) -> AsyncIterator[tuple[str, ...]]:
    """Hold the devices of a run; gives one torch device a rank. Waits for them, and says for whom.

    Args:
        name: who holds them, for those who wait, such as `run sft-…`.

    Raises:
        ConfigError: devices that this machine does not have.
        StoreError: the files that say which devices are in use cannot be used.
    """
    with _request(config, name, say) as request:
        while not request.is_granted():
            await asyncio.sleep(POLL_SECONDS)
        yield request.devices


@contextmanager
def devices_for_call(config: OpenSlothConfig, name: str, say: Say) -> Iterator[tuple[str, ...]]:
    """`devices_for` where there is no event loop."""
    with _request(config, name, say) as request:
        while not request.is_granted():
            time.sleep(POLL_SECONDS)
        yield request.devices


@contextmanager
def _request(config: OpenSlothConfig, name: str, say: Say) -> Iterator[Request | _Unlimited]:
    wanted = wanted_devices(config)
    on_cpu = wanted.devices[0] == "cpu"
    cpu_slots = num_cpu_slots()
    if on_cpu and cpu_slots is None:
        yield _Unlimited(wanted.best)
        return
    if on_cpu:
        slots = {f"cpu:{number}": f"cpu:{number}" for number in range(cpu_slots or 0)}
    else:
        ids = physical_ids(visible_gpus(), gpu_ids())
        slots = {ids[int(device.removeprefix("cuda:"))]: device for device in wanted.devices}
        if len(slots) < len(wanted.devices):
            raise ConfigError(
                f"CUDA_VISIBLE_DEVICES={','.join(visible_gpus())}: names one GPU twice; name each once"
            )
    request = Request(config.gpus, wanted.sizes, slots, Slots(slots_dir()), name, say)
    try:
        yield request
    finally:
        request.end()
