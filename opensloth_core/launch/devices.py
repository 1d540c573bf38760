"""Which devices a run may train on."""

import os
from dataclasses import dataclass
from itertools import takewhile

from opensloth_core.config.gpus import GpuSelection
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.launch.gpus import gpu_ids


@dataclass(frozen=True)
class WantedDevices:
    """What a selection comes to on this machine, whoever uses the devices just now."""

    devices: tuple[str, ...]
    """Torch devices to choose from, in order: `cuda:<index into visible_gpus()>`, or `cpu` a process."""

    sizes: tuple[int, ...]
    """How many of them the run can do with, the best number first."""

    @property
    def best(self) -> tuple[str, ...]:
        """One torch device a rank, where all are free."""
        return self.devices[: self.sizes[0]]


def visible_gpus() -> list[str]:
    """Names of the GPUs this process may use, as `CUDA_VISIBLE_DEVICES` takes them.

    An outer mask is respected: device 0 of the result is the first device of the mask. Without one these are
    the driver's ids, in its order, since CUDA counts GPUs that are not of one kind in another order than the
    driver.
    """
    mask = os.environ.get("CUDA_VISIBLE_DEVICES")
    if mask is not None:
        # CUDA takes a mask up to its first invalid entry.
        return list(takewhile(lambda name: name not in ("", "-1"), map(str.strip, mask.split(","))))
    return gpu_ids()


def num_shards(gpus: GpuSelection) -> int:
    """How many ranks a selection means, without asking whether the devices exist or are free."""
    if isinstance(gpus, tuple):
        return len(gpus)
    return gpus if isinstance(gpus, int) else len(visible_gpus()) or 1


def wanted_devices(config: OpenSlothConfig) -> WantedDevices:
    """The devices of a run, and in which numbers they can share its batches.

    Raises:
        ConfigError: more than the machine has, a device id it does not have, or a global batch that cannot be
            shared.
    """
    devices = resolve_devices(config.gpus)
    number = len(devices)
    if isinstance(config.gpus, int) and devices[0] != "cpu":
        # Any so many of all there are.
        return WantedDevices(resolve_devices("auto"), (_shared(config, number),))
    if config.gpus != "auto" or number == 1:
        return WantedDevices(devices, (_shared(config, number),))
    sizes = tuple(size for size in range(number, 0, -1) if _can_share(config, size))
    return WantedDevices(devices, sizes or (_shared(config, number),))


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


def num_cpu_slots() -> int | None:
    """How many CPU processes may train at the same time here: `$OPENSLOTH_CPU_SLOTS`; None for any.

    Runs on the CPU share it, slowly, unless this says otherwise.

    Raises:
        ConfigError: it is no whole number from 1 up.
    """
    given = os.environ.get("OPENSLOTH_CPU_SLOTS")
    if not given:
        return None
    if not given.isdecimal() or int(given) < 1:
        raise ConfigError(f"OPENSLOTH_CPU_SLOTS={given}: must be a whole number from 1 up, or not set")
    return int(given)


def _shared(config: OpenSlothConfig, size: int) -> int:
    config.batch_plan(size)
    return size


def _can_share(config: OpenSlothConfig, size: int) -> bool:
    try:
        config.batch_plan(size)
    except ConfigError:
        return False
    return True


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
    slots = num_cpu_slots()
    if slots is not None and count > slots:
        raise ConfigError(
            f"gpus {count}: OPENSLOTH_CPU_SLOTS={slots} is how many CPU processes may train at once; "
            f"give at most {slots}, or raise it"
        )
    return ("cpu",) * count


def _shown(gpus: GpuSelection) -> str:
    return ",".join(map(str, gpus)) if isinstance(gpus, tuple) else str(gpus)
