"""Whether processes can add numbers up over NCCL, or over gloo where there is no GPU."""

import os
import signal
import subprocess
import sys
import tempfile

from opensloth_core.doctor.finding import Finding, error, note, ok
from opensloth_core.launch.devices import visible_gpus
from opensloth_core.runs.report.numbers import duration

NAME = "ranks"
LIMIT_SECONDS = 90.0
"""Where torch is imported for the first time, that alone takes most of a minute."""


def check_collective(limit_seconds: float = LIMIT_SECONDS) -> Finding:
    """All GPUs, or two processes on the CPU."""
    gpus = len(visible_gpus())
    if gpus == 1:
        return note(NAME, "one GPU: nothing to connect")
    backend, world_size = ("nccl", gpus) if gpus else ("gloo", 2)
    return smoke_test(backend, world_size, limit_seconds)


def smoke_test(backend: str, world_size: int, limit_seconds: float) -> Finding:
    """Start ranks in processes of their own that add a number up."""
    what = f"{world_size} {'GPUs over NCCL' if backend == 'nccl' else 'CPU processes over gloo'}"
    remedy = (
        "see its first error with NCCL_DEBUG=INFO; NCCL_P2P_DISABLE=1 where GPUs cannot reach each other"
        if backend == "nccl"
        else "set GLOO_SOCKET_IFNAME=lo where the host's own name has no address, or train with one process"
    )
    with tempfile.TemporaryDirectory(prefix="opensloth-doctor-") as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "opensloth_core.doctor.all_reduce", backend, str(world_size), folder],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OPENSLOTH_PARENT_PID": str(os.getpid())},
            start_new_session=True,
        )
        try:
            printed, said = process.communicate(timeout=limit_seconds)
        except subprocess.TimeoutExpired:
            return error(NAME, f"{what}: no result within {duration(limit_seconds)}", remedy)
        finally:
            _end(process)
    if process.returncode != 0:
        last = (said.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
        return error(NAME, f"{what}: {last.strip()[:200]}", remedy)
    return ok(NAME, f"{what} add up right, 4 MB in {duration(float(printed.split()[-1]))}")


def _end(process: subprocess.Popen[str]) -> None:
    """End the process and its ranks, which are all of its session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.communicate()
