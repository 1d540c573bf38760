"""Ranks that add a number up: `python -m opensloth_core.doctor.all_reduce BACKEND WORLD_SIZE FOLDER`.

torch is imported once and the ranks are forked from there, before any of them touches a GPU. Exit code 0
and the seconds of the second all-reduce on stdout, or a last line on stderr that says why not.
"""

import os
import sys
import time
from datetime import timedelta
from pathlib import Path

from opensloth_core.launch.parent import die_with_parent

NUM_VALUES = 1 << 20


def main(backend: str, world_size: int, folder: Path) -> int:
    """Start the ranks; gives the exit code."""
    die_with_parent()
    # The ranks' parent is this process.
    os.environ["OPENSLOTH_PARENT_PID"] = str(os.getpid())
    import torch.distributed  # noqa: F401  # before the fork

    ranks = [_forked(backend, rank, world_size, folder) for rank in range(world_size)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(rank, 0)[1]) for rank in ranks]
    return max(map(abs, codes))


def _forked(backend: str, rank: int, world_size: int, folder: Path) -> int:
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        die_with_parent()
        _add_up(backend, rank, world_size, folder)
        code = 0
    except Exception as err:
        print(f"rank {rank}: {' '.join(str(err).split())[:300]}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def _add_up(backend: str, rank: int, world_size: int, folder: Path) -> None:
    import torch
    import torch.distributed as dist

    device = f"cuda:{rank}" if backend == "nccl" else "cpu"
    if backend == "nccl":
        torch.cuda.set_device(device)
    store = dist.FileStore(str(folder / "store"), world_size)
    dist.init_process_group(
        backend, store=store, rank=rank, world_size=world_size, timeout=timedelta(seconds=60)
    )
    for _ in range(2):
        values = torch.full((NUM_VALUES,), float(rank + 1), device=device)
        begun = time.perf_counter()
        dist.all_reduce(values)
        # Reading a value waits for the device.
        total = values[-1].item()
        seconds = time.perf_counter() - begun
        wanted = world_size * (world_size + 1) / 2
        if total != wanted:
            raise RuntimeError(f"the ranks' sum came out as {total}, not {wanted}")
    if rank == 0:
        print(seconds, flush=True)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
