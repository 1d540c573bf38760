"""How many floating point operations a device does in a second, at most: a large matrix product."""

import json
import sys
import time

from tests.benchmarks.measure import report, run_module

_ROUNDS = 20


def measure_ceiling() -> float:
    """FLOP/s of a bfloat16 matrix product on the first GPU, or of this machine's processor."""
    return float(run_module("ceiling", {}, {}).report["flops"])


def _measure() -> float:
    import torch

    on_gpu = torch.cuda.is_available()
    size = 8192 if on_gpu else 1024
    left, right = (
        torch.randn(size, size, dtype=torch.bfloat16, device="cuda" if on_gpu else "cpu") for _ in range(2)
    )
    best = float("inf")
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        left @ right
        if on_gpu:
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best


if __name__ == "__main__":
    json.loads(sys.argv[1])
    report(flops=_measure())
