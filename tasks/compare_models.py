"""The task that measures a new model and the one it would replace on the same held-out rows."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

from prefect import State, task
from prefect.cache_policies import NO_CACHE

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import OpenSlothError, TrainingError
from opensloth_core.launch.process import ProcessFailed, run_process
from opensloth_core.launch.rank import rank_environment
from opensloth_core.launch.reserve import devices_for
from opensloth_core.retrain.verdict import EARLIER, NEW, Measured
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import read_events
from opensloth_core.training.evaluation.comparison import Comparison, log_path, read_scores
from tasks.failed import failed, sentence
from tasks.run_logger import line_logger


@task(name="compare-models", cache_policy=NO_CACHE, persist_result=False)
async def compare_models(
    run_dir: Path, old_dir: Path | None, earlier_key: str | None, folder: Path
) -> tuple[Measured, Measured] | State[Any]:
    """See `compared`; where the comparison failed, the state that it ends in."""
    try:
        return await _measured(run_dir, old_dir, earlier_key, folder)
    except ProcessFailed as err:
        told = (
            f"{sentence(err, None)}; log: {log_path(folder)}; what was trained is kept, and the next firing "
            "compares it"
        )
        return failed(TrainingError(told), None)
    except OpenSlothError as err:
        return failed(err, None)


async def compared(
    run_dir: Path, old_dir: Path | None, earlier_key: str | None, folder: Path
) -> tuple[Measured, Measured]:
    """Measure an older model and that of a run, on one of the devices that the run may use.

    Args:
        run_dir: the run that trained the new model.
        old_dir: the older adapter; None for what the run's model is without training.
        earlier_key: the prepared data that the older one was judged by.
        folder: for what passes between processes.

    Raises:
        OpenSlothError: the comparison failed.
    """
    state = await cast(Any, compare_models(run_dir, old_dir, earlier_key, folder, return_state=True))
    return cast(tuple[Measured, Measured], await state.aresult())


async def _measured(
    run_dir: Path, old_dir: Path | None, earlier_key: str | None, folder: Path
) -> tuple[Measured, Measured]:
    run, log = RunDirectory(run_dir), line_logger()
    launch = run.launch()
    batches = [event["batch_size"] for event in read_events(run.events_path) if event["kind"] == "batch"]
    config = _on_one_device(run.config())

    def say(text: str, level: Literal["info", "warning"]) -> None:
        log(text)

    async with devices_for(config, f"comparison of {run.path.name}", say) as devices:
        device = devices[0]
        Comparison(
            run_dir=str(run_dir),
            device=device,
            adapters={
                "old": launch.adapter_dir if old_dir is None else str(old_dir),
                "new": str(run.adapter_dir),
            },
            prepared_keys={NEW: launch.prepared_key, **({EARLIER: earlier_key} if earlier_key else {})},
            batch_size=batches[-1] if batches else 1,
        ).write(folder)
        await run_process(
            name="comparison",
            module="opensloth_core.training.evaluation.compare_worker",
            arguments=[str(folder)],
            env=rank_environment(replace(launch, devices=(device,)), 0),
            log_path=log_path(folder),
            on_line=log,
        )
    scores = read_scores(folder)
    return Measured(scores["old"]), Measured(scores["new"])


def _on_one_device(config: OpenSlothConfig) -> OpenSlothConfig:
    gpus = config.gpus[:1] if isinstance(config.gpus, tuple) else 1
    return config.model_copy(update={"gpus": gpus})
