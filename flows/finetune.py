"""Raw data to a fine-tuned model: preflight, prepare (cached) beside warm-up, train, evaluate, publish."""

import asyncio
from pathlib import Path

from httpx import HTTPError
from prefect import State, runtime

from flows.console import outlive_console
from flows.devices import devices_of
from flows.ended import cancelled
from flows.form import form_flow
from flows.prepare import launched, prepared
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.launch.gang import together
from opensloth_core.launch.interrupts import signals_cancel
from opensloth_core.launch.ranks_up import ranks_up
from opensloth_core.launch.side_thread import in_side_thread
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.life import recorded, reported
from opensloth_core.runs.lock import run_lock
from opensloth_core.runs.resume import open_run
from opensloth_core.runs.stages import enter_stage
from tasks.admit import admit
from tasks.evaluate_model import evaluate_model
from tasks.failed import failed
from tasks.mark_crashed import mark_crashed
from tasks.preflight import checked
from tasks.publish_model import publish_model
from tasks.show import show_in_time
from tasks.show_data import show_data
from tasks.show_report import show_report
from tasks.tag_run import tag_run
from tasks.train_model import trained


def _title(config: OpenSlothConfig) -> str:
    return config.title


@form_flow("sft", name="finetune-sft", title=_title)
async def finetune_sft(
    config: OpenSlothConfig,
    resume: str | None = None,
    allow_drift: bool = False,
    run_dir: Path | None = None,
) -> Path | State:
    """Fine-tune a model on instruction data. Gives the folder of the adapter."""
    return await _run(config, resume, allow_drift, run_dir)


@form_flow("dpo", name="finetune-dpo", title=_title)
async def finetune_dpo(
    config: OpenSlothConfig,
    resume: str | None = None,
    allow_drift: bool = False,
    run_dir: Path | None = None,
) -> Path | State:
    """Align a model with preference pairs. Gives the folder of the adapter."""
    return await _run(config, resume, allow_drift, run_dir)


@form_flow("grpo", name="finetune-grpo", title=_title)
async def finetune_grpo(
    config: OpenSlothConfig,
    resume: str | None = None,
    allow_drift: bool = False,
    run_dir: Path | None = None,
) -> Path | State:
    """Reinforce what rewards score highly. Gives the folder of the adapter."""
    return await _run(config, resume, allow_drift, run_dir)


FLOWS = {"sft": finetune_sft, "dpo": finetune_dpo, "grpo": finetune_grpo}
"""The flow of each method; three, since a flow has one web form."""


async def _run(
    config: OpenSlothConfig, resume: str | None, allow_drift: bool, run_dir: Path | None
) -> Path | State:
    """Run a configuration.

    Args:
        resume: A run that did not end well, to go on with, or "auto" for the newest of this configuration.
        allow_drift: Go on although data, model, GPUs or settings are not what they were.
        run_dir: A run directory that was opened already; a new one when not given.
    """
    run: RunDirectory | None = None
    try:
        await admit(config, resume, run_dir)
        outlive_console()
        await mark_crashed()
        if run_dir is None:
            run = await in_side_thread(open_run, config, resume, allow_drift)
        else:
            run = RunDirectory(run_dir)
        with signals_cancel(), run_lock(run), reported(run), recorded(run):
            run.events.write("flow", flow_run_id=runtime.flow_run.id)
            folder = await _finetune(run)
    except asyncio.CancelledError:
        return cancelled()
    except HTTPError:  # Prefect's server does not answer
        raise
    except Exception as err:
        if run is not None:
            await show_report(run)
        return failed(err, run)
    await show_report(run)
    return folder


async def _finetune(run: RunDirectory) -> Path:
    await show_in_time("the run's tags", tag_run(run))
    found = await checked(run.path)
    async with devices_of(run) as devices:
        await launched(run, found.start, devices)
        await show_in_time("the run's tags", tag_run(run, devices))
        # The ranks import and load the model meanwhile, and wait for the data.
        await together(_prepare(run), trained(run.path))
    metrics = await evaluate_model(run.path)
    return await publish_model(run.path, metrics)


async def _prepare(run: RunDirectory) -> None:
    data = await prepared(run)
    enter_stage(run, "warming")
    run.mark_prepared(data.manifest.key)
    await ranks_up(run)
    await show_data(data, run.launch().tokenizer_folder)
