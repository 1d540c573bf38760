"""The GPUs of the machine as its driver knows them.

Numbers are no identity: under `CUDA_VISIBLE_DEVICES` or in a container, number 0 of one process is number 3
of another. The driver's ids (UUIDs) are the same for all of them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

MOST_OF_IT = 0.5
"""Share of a GPU's memory above which another program has it."""

GIB = 1 << 30


@dataclass(frozen=True)
class MemoryUse:
    """Memory of one GPU."""

    used_bytes: int
    total_bytes: int
    processes: tuple[int, ...] = ()
    """Ids of the processes that compute on it; none where the driver does not tell, as in containers."""

    @property
    def is_most(self) -> bool:
        """Whether most of it is in use."""
        return self.used_bytes > MOST_OF_IT * self.total_bytes

    def __str__(self) -> str:
        sizes = f"{self.used_bytes / GIB:.0f} of {self.total_bytes / GIB:.0f} GiB"
        numbers = ", ".join(map(str, self.processes))
        who = f"process{'es' if len(self.processes) > 1 else ''} {numbers}" if numbers else "another program"
        return f"{sizes} in use by {who}"


def gpu_ids() -> list[str]:
    """Ids of all GPUs, such as `GPU-8932f937-d72c-4106-c12f-20bd9faed9f6`, in the driver's order, the bus's.

    None where there is no driver. A GPU that is partitioned (MIG) counts as one; its parts are used by naming
    them in `CUDA_VISIBLE_DEVICES`.
    """
    with _driver() as nvml:
        if nvml is None:
            return []
        handles = map(nvml.nvmlDeviceGetHandleByIndex, range(nvml.nvmlDeviceGetCount()))
        return [str(nvml.nvmlDeviceGetUUID(handle)) for handle in handles]


def physical_ids(names: Sequence[str], ids: Sequence[str]) -> list[str]:
    """The driver's ids of GPUs named as in `CUDA_VISIBLE_DEVICES`: by number, id, or the beginning of one.

    Numbers count in the driver's order. CUDA counts so where `CUDA_DEVICE_ORDER=PCI_BUS_ID` or all GPUs are
    of one kind. A name that the driver does not know, such as that of a part (MIG), is its own id.

    Args:
        ids: of all GPUs, see `gpu_ids`.
    """
    return [_physical_id(name, ids) for name in names]


def memory_use(gpu_id: str) -> MemoryUse | None:
    """How much memory of a GPU is in use; None where the driver does not tell."""
    with _driver() as nvml:
        if nvml is None:
            return None
        try:
            handle = nvml.nvmlDeviceGetHandleByUUID(gpu_id)
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        except nvml.NVMLError:
            return None
        try:
            processes = tuple(process.pid for process in nvml.nvmlDeviceGetComputeRunningProcesses(handle))
        except nvml.NVMLError:
            processes = ()
        return MemoryUse(int(memory.used), int(memory.total), processes)


def _physical_id(name: str, ids: Sequence[str]) -> str:
    if name.isdecimal():
        return ids[int(name)] if int(name) < len(ids) else f"gpu-{name}"
    found = [one for one in ids if one.startswith(name)]
    return found[0] if len(found) == 1 else name


@contextmanager
def _driver() -> Iterator[Any]:
    """The driver's interface, or None where there is no driver.

    Asked instead of torch, whose import takes seconds.
    """
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()
