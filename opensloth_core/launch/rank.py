"""The environment and the process of one rank."""

import os
from collections.abc import Callable

from opensloth_core.launch.devices import visible_gpus
from opensloth_core.launch.process import run_process
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.store.home import home_dir


def rank_environment(launch: Launch, rank: int) -> dict[str, str]:
    """What a rank's environment adds: which rank it is, and its devices.

    Ranks meet at a file of the run, not at a port: a port may be taken before the rank listens on it,
    and torch's TCPStore asks the name server who 127.0.0.1 is at every connection, which can take
    minutes where that does not answer.
    """
    found = visible_gpus()
    gpus = [found[int(d.removeprefix("cuda:"))] for d in launch.devices if d != "cpu"]
    cores = len(os.sched_getaffinity(0))
    # Threads that wait for others by spinning take the cores from those they wait for: with two runs at once,
    # or a server beside the run, training took several times as long.
    waiting = {} if gpus else {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE")}
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(launch.world_size),
        "LOCAL_WORLD_SIZE": str(launch.world_size),
        "CUDA_VISIBLE_DEVICES": ",".join(gpus),
        "GLOO_SOCKET_IFNAME": "lo",  # all ranks are on this machine; nobody's name has to be looked up
        "HF_HUB_OFFLINE": "1",  # the model is a folder by now
        "OMP_NUM_THREADS": str(max(1, cores // launch.world_size)),
        "TOKENIZERS_PARALLELISM": "false",
        "TQDM_DISABLE": "1",  # bars of transformers would fill the rank's log
        # Unsloth writes generated code into the working directory unless told where.
        "UNSLOTH_COMPILE_LOCATION": str(home_dir() / "unsloth_compiled_cache" / f"rank-{rank}"),
        "UNSLOTH_DISABLE_STATISTICS": "1",
        **waiting,
    }


async def run_rank(
    run: RunDirectory,
    launch: Launch,
    rank: int,
    on_line: Callable[[str], None],
    on_spawn: Callable[[], None],
) -> None:
    """Run one rank's process to its end; see `run_process`."""
    await run_process(
        name=f"rank {rank}",
        module="opensloth_core.training.worker",
        arguments=[str(run.path)],
        env=rank_environment(launch, rank),
        log_path=run.log_path(rank),
        on_line=on_line,
        on_spawn=on_spawn,
    )
