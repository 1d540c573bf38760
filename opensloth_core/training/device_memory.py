"""How much memory a rank may use, and how much it used at most since it began to watch."""

import gc
from pathlib import Path

import torch

from opensloth_core.launch.process_memory import kilobytes
from opensloth_core.training.guard.memory_in_use import STATUS, memory_in_use


class DeviceMemory:
    """The memory of a rank's device; RAM is shared by the ranks on a CPU.

    The kernel resets the peak of a process on request. Source: proc_pid_clear_refs(5).
    """

    def __init__(self, device: str, world_size: int) -> None:
        self._device = device
        self.limit_bytes = memory_in_use(device, world_size).limit

    def reset_peak(self) -> None:
        """Begin to watch."""
        if self._device == "cpu":
            Path("/proc/self/clear_refs").write_text("5")
        else:
            torch.cuda.reset_peak_memory_stats(self._device)

    def peak_bytes(self) -> int:
        """The most that was in use since `reset_peak`."""
        if self._device == "cpu":
            return kilobytes(STATUS, "VmHWM:") * 1024
        torch.cuda.synchronize(self._device)
        return int(torch.cuda.max_memory_reserved(self._device))

    def release(self) -> None:
        """Give back what is held but not used."""
        gc.collect()
        if self._device != "cpu":
            torch.cuda.empty_cache()
