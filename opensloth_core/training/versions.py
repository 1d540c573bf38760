"""What a run was made with, for its report and for whoever repeats it."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

PACKAGES = (
    "opensloth", "prefect", "torch", "transformers", "trl", "peft", "unsloth", "accelerate", "datasets",
    "tokenizers", "bitsandbytes", "vllm",
)  # fmt: skip


def versions() -> dict[str, Any]:
    """Versions of Python and of the packages that are installed, and the names of the run's devices."""
    found: dict[str, Any] = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    found["devices"] = [torch.cuda.get_device_name(index) for index in range(count)] or [
        f"CPU, {torch.get_num_threads()} threads a rank"
    ]
    return found
