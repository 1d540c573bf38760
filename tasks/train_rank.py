"""The subflow of one rank: owns one process and shows its log."""

from pathlib import Path

from prefect import flow

from opensloth_core.launch.gang import rank_spawned
from opensloth_core.launch.rank import run_rank
from opensloth_core.runs.directory import RunDirectory
from tasks.run_logger import subflow_line_logger


# No result is persisted: on a retry, ranks that had completed would be reused and the others hang.
@flow(name="train-rank", flow_run_name="rank {rank} on {device}", persist_result=False)
async def train_rank(run_dir: Path, rank: int, device: str) -> None:
    """Run one rank's process to its end.

    Raises:
        ProcessFailed: the process ended before its work was done.
    """
    run = RunDirectory(run_dir)
    await run_rank(run, run.launch(), rank, subflow_line_logger(), rank_spawned.get().set)
