"""How much memory a rank has, and how much it could still get, at the moment it runs out."""

import resource
from dataclasses import dataclass
from pathlib import Path

import torch

from opensloth_core.launch.process_memory import kilobytes

STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class MemoryInUse:
    """In bytes; of the GPU a rank trains on, or of RAM."""

    used: int
    """By this rank."""

    free: int
    """What this rank could still get."""

    where: str
    """`GPU 0`, `RAM`, or what limits the process."""

    @property
    def limit(self) -> int:
        return self.used + self.free


def memory_in_use(device: str, world_size: int) -> MemoryInUse:
    """What there is now.

    Args:
        device: torch device of this rank.
        world_size: ranks that share RAM where there is no GPU.
    """
    if device != "cpu":
        free, _ = torch.cuda.mem_get_info(device)
        return MemoryInUse(
            int(torch.cuda.memory_reserved(device)), int(free), device.replace("cuda:", "GPU ")
        )
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        used = kilobytes(STATUS, "VmSize:") * 1024
        return MemoryInUse(used, max(0, soft - used), "the address space that ulimit -v allows")
    used = kilobytes(STATUS, "VmRSS:") * 1024
    return MemoryInUse(used, kilobytes(Path("/proc/meminfo"), "MemAvailable:") * 1024 // world_size, "RAM")
