"""The self-test: the same packs in the same steps on one rank, on all, and accumulated on one."""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from opensloth_core.launch.devices import resolve_devices, visible_gpus
from opensloth_core.models.tiny import write_tiny_model
from opensloth_core.selftest.compare import CPU_LIMITS, GPU_LIMITS, Differences, differences
from opensloth_core.selftest.data import Method, write_examples
from opensloth_core.selftest.runs import MeasuredRun, Variant, run_variant, variants

ROWS_PER_RANK = 20
"""Some ten packs a rank, so that the last step of an epoch is not full."""

EXACT_FLOAT32 = {
    "NVIDIA_TF32_OVERRIDE": "0",  # cuBLAS and cuDNN, whatever a library asks of them
    "TRITON_F32_DEFAULT": "ieee",  # tl.dot in kernels that do not say
}
"""Environment in which GPUs multiply float32 as float32."""


@dataclass(frozen=True)
class Parity:
    """The runs of one method, and how far they are from the first."""

    method: Method
    on_gpu: bool
    runs: list[MeasuredRun]
    limits: Differences

    @property
    def found(self) -> list[Differences]:
        """Of every run but the first."""
        return [differences(self.runs[0], run) for run in self.runs[1:]]

    @property
    def passed(self) -> bool:
        """Whether every run agrees with the first and something was learnt at all."""
        return self.learnt and all(one.within(self.limits) for one in self.found)

    @property
    def learnt(self) -> bool:
        """Whether the loss ever fell; runs that train nothing agree, too."""
        first, *others = self.runs[0].loss_S
        return min(others) < first

    def problem(self) -> str | None:
        """What a difference means and where to look; None when there is none."""
        if self.passed:
            return None
        if not self.learnt:
            return "the loss never fell on one rank: the model is not trained at all"
        apart = [
            run.variant
            for run, one in zip(self.runs[1:], self.found, strict=True)
            if not one.within(self.limits)
        ]
        if any(variant.accumulation > 1 for variant in apart):
            return (
                "one rank comes to another result when it takes a step in several micro-batches: the loss of "
                "a step is not divided by what the whole step trains, so results depend on the batch size"
            )
        return (
            f"{apart[0].ranks} ranks come to another result than one, though accumulation does not: what "
            "they exchange is wrong or a device computes otherwise; try fewer GPUs, and NCCL_P2P_DISABLE=1"
        )

    def as_json(self) -> dict[str, Any]:
        """All numbers but the weights."""
        return {
            "method": self.method,
            "device": "gpu" if self.on_gpu else "cpu",
            "passed": self.passed,
            "problem": self.problem(),
            "limits": asdict(self.limits),
            "runs": [
                {
                    "name": run.variant.name,
                    **asdict(run.variant),
                    "loss": run.loss_S,
                    "grad_norm": run.grad_norm_S,
                    "tokens_per_second": run.tokens_per_second,
                    "differences": asdict(one) if one else None,
                }
                for run, one in zip(self.runs, [None, *self.found], strict=True)
            ],
        }


def num_ranks(gpus: int | None) -> int:
    """Ranks of the self-test: as given, else all GPUs, else two CPU processes where there are two cores.

    Raises:
        ConfigError: more than the machine has.
    """
    if gpus is None:
        gpus = len(visible_gpus()) or min(2, len(os.sched_getaffinity(0)))
    return len(resolve_devices(gpus))


def check_parity(method: Method, ranks: int, say: Callable[[str], None] = lambda text: None) -> Parity:
    """Compare runs of one method in a temporary home, which is gone afterwards.

    Args:
        ranks: how many to compare with one.
        say: told before each run.

    Raises:
        OpenSlothError: a run failed.
    """
    with temporary_home() as home:
        data = write_examples(home / f"{method}.jsonl", method, ROWS_PER_RANK * max(2, ranks))
        settings = {"method": method, "data": str(data), "model": str(write_tiny_model(home / "tiny"))}
        return compare_runs(variants(ranks), settings, say)


def compare_runs(
    compared: Sequence[Variant], settings: Mapping[str, Any], say: Callable[[str], None] = lambda text: None
) -> Parity:
    """Train all variants, in the home there is.

    Args:
        settings: at least data and model; all that is not in `SETTINGS` of the runs, or is to differ.
    """
    on_gpu = bool(visible_gpus())
    runs = []
    for variant in compared:
        say(f"{settings.get('method', 'sft')}: {variant.name} …")
        runs.append(run_variant(variant, settings))
    return Parity(settings.get("method", "sft"), on_gpu, runs, GPU_LIMITS if on_gpu else CPU_LIMITS)


@contextmanager
def temporary_home() -> Iterator[Path]:
    """An `OPENSLOTH_HOME` of its own, with exact float32; nothing is left of it."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="opensloth-selftest-") as folder:
        os.environ.update({"OPENSLOTH_HOME": folder, **EXACT_FLOAT32})
        try:
            yield Path(folder)
        finally:
            for name in ("OPENSLOTH_HOME", *EXACT_FLOAT32):
                if name in before:
                    os.environ[name] = before[name]
                else:
                    del os.environ[name]
