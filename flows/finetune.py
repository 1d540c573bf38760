"""From raw data to a fine-tuned model: preflight, prepare (cached) beside the warm-up, train, publish."""

import asyncio
from pathlib import Path

from prefect import State, flow, runtime

from flows.console import outlive_console
from flows.devices import devices_of
from flows.ended import cancelled
from flows.prepare import launched, prepared
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.launch.gang import together
from opensloth_core.launch.interrupts import signals_cancel
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.life import recorded, reported
from opensloth_core.runs.lock import run_lock
from opensloth_core.runs.resume import open_run
from tasks.admit import admit
from tasks.mark_crashed import mark_crashed
from tasks.preflight import check
from tasks.publish_model import publish_model
from tasks.train_model import train_model


def run_name() -> str:
    """`sft · gemma-3-4b-it · my_data · 2 GPUs`, from the parameters of the current flow run."""
    return OpenSlothConfig.of(runtime.flow_run.parameters["config"]).title


@flow(name="finetune-sft", flow_run_name=run_name, persist_result=False)
async def finetune_sft(
    config: OpenSlothConfig,
    resume: str | None = None,
    allow_drift: bool = False,
    run_dir: Path | None = None,
) -> Path | State:
    """Fine-tune a model on instruction data. Gives the folder of the adapter.

    Args:
        config: What to train on what, and how.
        resume: A run that did not end well, to go on with, or "auto" for the newest of this configuration.
        allow_drift: Go on although data, model, GPUs or settings are not what they were.
        run_dir: A run directory that was opened already; a new one when not given.
    """
    return await _run("sft", config, resume, allow_drift, run_dir)


@flow(name="finetune-dpo", flow_run_name=run_name, persist_result=False)
async def finetune_dpo(
    config: OpenSlothConfig,
    resume: str | None = None,
    allow_drift: bool = False,
    run_dir: Path | None = None,
) -> Path | State:
    """Align a model with preference pairs. Gives the folder of the adapter.

    Args:
        config: What to train on what, and how.
        resume: A run that did not end well, to go on with, or "auto" for the newest of this configuration.
        allow_drift: Go on although data, model, GPUs or settings are not what they were.
        run_dir: A run directory that was opened already; a new one when not given.
    """
    return await _run("dpo", config, resume, allow_drift, run_dir)


@flow(name="finetune-grpo", flow_run_name=run_name, persist_result=False)
async def finetune_grpo(
    config: OpenSlothConfig,
    resume: str | None = None,
    allow_drift: bool = False,
    run_dir: Path | None = None,
) -> Path | State:
    """Reinforce what rewards score highly. Gives the folder of the adapter.

    Args:
        config: What to train on what, and how.
        resume: A run that did not end well, to go on with, or "auto" for the newest of this configuration.
        allow_drift: Go on although data, model, GPUs or settings are not what they were.
        run_dir: A run directory that was opened already; a new one when not given.
    """
    return await _run("grpo", config, resume, allow_drift, run_dir)


FLOWS = {"sft": finetune_sft, "dpo": finetune_dpo, "grpo": finetune_grpo}
"""The flow of each method; three, since a flow's signature is its web form."""


async def _run(
    method: str, config: OpenSlothConfig, resume: str | None, allow_drift: bool, run_dir: Path | None
) -> Path | State:
    if config.method != method:
        raise ConfigError(
            f"method {config.method}: this flow is for {method}; start finetune-{config.method}"
        )
    await admit(config, resume, run_dir)
    outlive_console()
    await mark_crashed()
    if run_dir is None:
        run = await asyncio.to_thread(open_run, config, resume, allow_drift)
    else:
        run = RunDirectory(run_dir)
    try:
        with signals_cancel(), run_lock(run), reported(run), recorded(run):
            run.events.write("flow", flow_run_id=runtime.flow_run.id)
            return await _finetune(run)
    except asyncio.CancelledError:
        return cancelled()


async def _finetune(run: RunDirectory) -> Path:
    checked = await asyncio.to_thread(check, run.path)
    async with devices_of(run) as devices:
        await launched(run, checked.start, devices)
        # The ranks import and load the model meanwhile, and wait for the data.
        await together(_prepare(run), train_model(run.path))
    return publish_model(run.path)


async def _prepare(run: RunDirectory) -> None:
    manifest = await prepared(run)
    run.events.state("warming")
    run.mark_prepared(manifest.key)
