"""Whether there is shared memory, through which the ranks of a machine exchange gradients."""

import shutil
from pathlib import Path

from opensloth_core.doctor.finding import Finding, error, ok, warning
from opensloth_core.launch.devices import visible_gpus
from opensloth_core.runs.report.numbers import size

NAME = "shared memory"
ENOUGH_BYTES = 1 << 30
LEAST_BYTES = 64 << 20
"""NCCL's buffers of two GPUs take some tens of MB; Docker gives this much where nothing is said."""

_REMEDY = "give the container more: docker run --shm-size=8g, or --ipc=host"


def check_shared_memory(path: Path = Path("/dev/shm"), num_gpus: int | None = None) -> Finding:
    """Its size and what is free.

    Args:
        num_gpus: how many are to be trained on; those of this machine when not given.
    """
    try:
        usage = shutil.disk_usage(path)
    except OSError as err:
        return error(NAME, f"{path}: {err.strerror}", f"mount it: mount -t tmpfs tmpfs {path}")
    text = f"{path}: {size(usage.free)} of {size(usage.total)} free"
    gpus = len(visible_gpus()) if num_gpus is None else num_gpus
    if gpus > 1 and usage.free <= LEAST_BYTES:
        return error(NAME, f"{text}; too little for {gpus} GPUs", _REMEDY)
    if usage.free < ENOUGH_BYTES and gpus > 1:
        return warning(NAME, f"{text}; little for {gpus} GPUs", _REMEDY)
    return ok(NAME, text)
