"""The GPUs, their driver, and whether torch was built for them."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from opensloth_core.doctor.finding import Finding, error, note, ok, warning
from opensloth_core.launch.devices import visible_gpus
from opensloth_core.launch.gpus import GIB, memory_use
from opensloth_core.runs.report.numbers import counted

NAME = "GPUs"
_DEVICE_FILE = Path("/dev/nvidiactl")
_CUDA_LINE = re.compile(r"^cuda\b.*=\s*(?:'([\d.]+)'|None)", re.MULTILINE)


@dataclass(frozen=True)
class Driver:
    """What the driver says."""

    version: str
    cuda: tuple[int, int]
    """The newest CUDA it runs."""

    gpus: tuple[str, ...]
    """Names of all GPUs."""


def check_gpus() -> Finding:
    """GPUs that a run may use, and whether torch can use them."""
    driver = _driver()
    if driver is None:
        if _DEVICE_FILE.exists():
            return error(NAME, "there are GPUs, but their driver does not answer", "see nvidia-smi; restart")
        return note(NAME, "no NVIDIA driver: training runs on the CPU")
    return judged(driver, torch_cuda(), visible_gpus())


def judged(driver: Driver, built_for: str | None, visible: Sequence[str]) -> Finding:
    """The finding about a driver's GPUs.

    Args:
        built_for: the CUDA version that torch was built for; None for a build without.
        visible: what `CUDA_VISIBLE_DEVICES` leaves.
    """
    cuda = ".".join(map(str, driver.cuda))
    with_driver = f"driver {driver.version} (CUDA {cuda})"
    if not driver.gpus:
        return error(NAME, f"{with_driver} sees no GPU", "pass GPUs to the container, such as --gpus all")
    if not visible:
        mask = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        return warning(
            NAME, f"CUDA_VISIBLE_DEVICES={mask!r} hides all {len(driver.gpus)}", "unset it to train on them"
        )
    if built_for is None:
        return error(NAME, f"{with_driver}, but torch is a build for CPUs", "install torch for CUDA")
    if tuple(map(int, built_for.split(".")[:1])) > driver.cuda[:1]:
        return error(
            NAME,
            f"{with_driver} is too old for torch, which is built for CUDA {built_for}",
            f"update the driver, or install torch for CUDA {driver.cuda[0]}",
        )
    names = dict.fromkeys(driver.gpus)
    text = f"{counted(len(visible), 'GPU')} ({', '.join(names)}), {with_driver}, torch for CUDA {built_for}"
    if len(names) > 1:
        return warning(NAME, f"{text}; not of one kind", "give those of one kind, such as --gpus 0,1")
    if busy := [f"{name[:12]} {use}" for name in visible if (use := memory_use(name)) and use.is_most]:
        return warning(NAME, f"{text}; {'; '.join(busy)}", "stop that program, or give other GPUs")
    totals = [use.total_bytes for name in visible if (use := memory_use(name))]
    return ok(NAME, text + (f", {min(totals) / GIB:.0f} GiB each" if totals else ""))


def torch_cuda() -> str | None:
    """The CUDA version that torch was built for, read without importing it."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    found = _CUDA_LINE.search((Path(spec.origin).parent / "version.py").read_text())
    return found[1] if found else None


def _driver() -> Driver | None:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        cuda = int(pynvml.nvmlSystemGetCudaDriverVersion())
        handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
        return Driver(
            _text(pynvml.nvmlSystemGetDriverVersion()),
            (cuda // 1000, cuda % 1000 // 10),
            tuple(_text(pynvml.nvmlDeviceGetName(handle)) for handle in handles),
        )
    finally:
        pynvml.nvmlShutdown()


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
