"""Which devices a run trains on."""

import os
from itertools import takewhile

from opensloth_core.config.gpus import GpuSelection
from opensloth_core.errors import ConfigError


def visible_gpus() -> list[str]:
    """Identifiers of the GPUs this process may use, as `CUDA_VISIBLE_DEVICES` names them.

    An outer mask is respected: device 0 of the result is the first device of the mask.
    """
    mask = os.environ.get("CUDA_VISIBLE_DEVICES")
    if mask is not None:
        # CUDA takes a mask up to its first invalid entry.
        return list(takewhile(lambda name: name not in ("", "-1"), map(str.strip, mask.split(","))))
    return [str(index) for index in range(_count_gpus())]


def _count_gpus() -> int:
    """GPUs of the machine, asked of the driver, since importing torch takes seconds."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return 0
    try:
        return int(pynvml.nvmlDeviceGetCount())
    finally:
        pynvml.nvmlShutdown()


def num_shards(gpus: GpuSelection) -> int:
    """How many ranks a selection means, without asking whether the devices exist."""
    if isinstance(gpus, tuple):
        return len(gpus)
    return gpus if isinstance(gpus, int) else len(visible_gpus()) or 1


def resolve_devices(gpus: GpuSelection) -> tuple[str, ...]:
    """One torch device a rank: `cuda:<index into visible_gpus()>`, or `cpu` where there is no GPU.

    Raises:
        ConfigError: more than the machine has, or a device id it does not have.
    """
    found = visible_gpus()
    if not found:
        return _cpu_devices(gpus)
    if gpus == "auto":
        ids = tuple(range(len(found)))
    else:
        ids = gpus if isinstance(gpus, tuple) else tuple(range(gpus))
    missing = [i for i in ids if i >= len(found)]
    if missing:
        have = "1 GPU" if len(found) == 1 else f"{len(found)} GPUs"
        raise ConfigError(
            f"gpus {_shown(gpus)}: this machine has {have}; "
            f"give at most {len(found)}, or ids below {len(found)}"
        )
    return tuple(f"cuda:{i}" for i in ids)


def _cpu_devices(gpus: GpuSelection) -> tuple[str, ...]:
    cores = len(os.sched_getaffinity(0))
    if isinstance(gpus, tuple):
        raise ConfigError(f"gpus {_shown(gpus)}: no GPU found; give a number of CPU processes, such as 1")
    count = 1 if gpus == "auto" else gpus
    if count > cores:
        raise ConfigError(
            f"gpus {count}: no GPU found, and this machine has {cores} CPU cores for {count} processes; "
            f"give at most {cores}"
        )
    return ("cpu",) * count


def _shown(gpus: GpuSelection) -> str:
    return ",".join(map(str, gpus)) if isinstance(gpus, tuple) else str(gpus)
