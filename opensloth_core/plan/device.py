"""What a run's devices are: their kind and memory, asked of the driver and not of torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from opensloth_core.launch.devices import visible_gpus
from opensloth_core.launch.gpus import gpu_ids, memory_use, physical_ids
from opensloth_core.launch.process_memory import kilobytes

_MEMORY = Path("/proc/meminfo")


@dataclass(frozen=True)
class Device:
    """The device of one rank."""

    name: str
    """`NVIDIA H200`; `CPU` where there is no GPU."""

    memory_bytes: int | None
    """All of its memory; of RAM what is free for this rank. None where it is not known."""

    @property
    def on_gpu(self) -> bool:
        return self.name != "CPU"


def describe_devices(devices: Sequence[str]) -> tuple[Device, ...]:
    """The devices of a run, one a rank.

    Args:
        devices: torch devices, `cuda:<index into visible_gpus()>` or `cpu`.
    """
    if devices[0] == "cpu":
        return (Device("CPU", kilobytes(_MEMORY, "MemAvailable:") * 1024 // len(devices)),) * len(devices)
    ids = physical_ids(visible_gpus(), gpu_ids())
    return tuple(_gpu(ids[int(device.removeprefix("cuda:"))]) for device in devices)


def _gpu(gpu_id: str) -> Device:
    import pynvml

    use = memory_use(gpu_id)
    name = "GPU"
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(gpu_id)
        found = pynvml.nvmlDeviceGetName(handle)
        name = found.decode() if isinstance(found, bytes) else str(found)
        pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        pass  # a part of a GPU, or an unknown name in the mask
    return Device(name, use.total_bytes if use else None)
