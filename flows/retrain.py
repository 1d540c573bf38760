"""Retraining as data grows: nothing new? stop. Else fine-tune, compare with what is in use, promote."""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import State, flow, runtime
from prefect.exceptions import CancelledRun
from prefect.logging import get_run_logger
from prefect.states import Completed

from flows.console import outlive_console
from flows.ended import cancelled
from flows.finetune import FLOWS as FINETUNE
from flows.form import shown_signature, taking
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError, OpenSlothError
from opensloth_core.launch.interrupts import signals_cancel, take_signals_back
from opensloth_core.registry.model_registry import Registry, open_registry
from opensloth_core.registry.records import Version
from opensloth_core.retrain.already_judged import already_judged
from opensloth_core.retrain.compared import check_comparable, earlier_rows
from opensloth_core.retrain.fingerprint import SourceFingerprint
from opensloth_core.retrain.form import REQUIRED, Retraining, retraining_schema
from opensloth_core.retrain.judgement import judgement
from opensloth_core.retrain.settings import with_adapter
from opensloth_core.retrain.take_up import unfinished_run, unjudged_run
from opensloth_core.retrain.verdict import judge
from opensloth_core.retrain.workspace import Finished, Workspace
from opensloth_core.runs.directory import RunDirectory
from tasks.admit import admit
from tasks.compare_models import compared
from tasks.cover_missed import cover_missed
from tasks.failed import failed
from tasks.fire_again import fire_again
from tasks.mark_crashed import mark_crashed
from tasks.promote_model import promoted_or_noted
from tasks.watch_source import new_rows_counted, watched

NOTHING_NEW, BUSY = "nothing new", "already running"
PROMOTED, NOT_PROMOTED = "promoted", "not promoted"
"""Names of the states that a retraining completes in; automations see them as `prefect.flow-run.<name>`."""


def run_name() -> str:
    """`retrain · support-bot · tickets`, from the parameters of the current flow run."""
    try:
        asked = Retraining.given(runtime.flow_run.parameters)
        return f"retrain · {asked.name} · {asked.training().data_title}"
    except ConfigError:
        return "retrain · refused"


@flow(name="retrain", flow_run_name=run_name, persist_result=False, validate_parameters=False)
@taking(Retraining.model_fields)
async def retrain(**given: Any) -> State:
    """Train a model again if its data changed, and promote it if it is better than the one in use.

    Args:
        given: see `Retraining`.
    """
    outlive_console()
    try:
        asked = Retraining.given(given)
        config = asked.training()
        await admit(config)
        await mark_crashed()
        registry = open_registry(asked.name, say=get_run_logger().info)
        firing = _Firing(
            registry, Workspace(asked.name), config, asked.min_improvement, asked.keep, asked.warm_start
        )
        with signals_cancel(), ExitStack() as stack:
            try:
                await asyncio.to_thread(stack.enter_context, registry.lock())
            except ConfigError as err:
                return Completed(name=BUSY, message=str(err))
            looked = datetime.now(UTC)
            try:
                state = await _retrain(firing, stack)
            except OpenSlothError as err:
                state = failed(err, None)
        await fire_again(looked, BUSY)
        return state
    except (asyncio.CancelledError, CancelledRun):
        return cancelled()
    except OpenSlothError as err:
        return failed(err, None)


retrain.__signature__ = shown_signature(retraining_schema(), REQUIRED)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class _Firing:
    """What one firing works with."""

    registry: Registry
    workspace: Workspace
    config: OpenSlothConfig
    min_improvement: float
    keep: int
    warm_start: bool


async def _retrain(firing: _Firing, stack: ExitStack) -> State:
    await cover_missed()
    registry, config = firing.registry, firing.config
    found = await watched(
        config, {"min_improvement": firing.min_improvement, "warm_start": firing.warm_start}
    )
    if (known := already_judged(registry, found)) is not None:
        return Completed(name=NOTHING_NEW, message=known)
    current = registry.current()
    current_dir = None
    if current is not None:
        check_comparable(current, config, found, firing.warm_start)
        current_dir = await asyncio.to_thread(stack.enter_context, registry.hold(current))
    run = await _trained(firing, found, current, current_dir if firing.warm_start else None)
    earlier_key = await asyncio.to_thread(earlier_rows, current, get_run_logger().warning)
    old, new = await compared(run.path, current_dir, earlier_key, firing.workspace.compare_dir)
    old_name = f"version {current.id}" if current else "the base model"
    verdict = judge(config.method, old, new, firing.min_improvement, old_name)
    record = judgement(run, str(found), old, new, verdict)
    version = await promoted_or_noted(
        registry, run.adapter_dir, record, firing.keep, current.id if current else None
    )
    firing.workspace.forget_finished()
    if version is None:
        return Completed(name=NOT_PROMOTED, message=f"{registry.name} stays as it was: {verdict.why}")
    return Completed(name=PROMOTED, message=f"{registry.name} is now {version}: {verdict.why}")


async def _trained(
    firing: _Firing, found: SourceFingerprint, current: Version | None, adapter_dir: Path | None
) -> RunDirectory:
    """A run that has trained on the source as it was found, this firing's or an earlier one's."""
    log, replacing = get_run_logger(), current.id if current else None
    run = await asyncio.to_thread(unjudged_run, firing.workspace, found, replacing)
    if run is not None:
        log.info("run %s of an earlier firing has trained on just this already", run.path.name)
        return run
    config, resume = with_adapter(firing.config, adapter_dir), None
    await new_rows_counted(config)
    unfinished = await asyncio.to_thread(unfinished_run, config)
    if unfinished is not None and unfinished.differing:
        log.info(
            "run %s of an earlier firing cannot go on: %s",
            unfinished.run.path.name,
            "; ".join(unfinished.differing),
        )
    elif unfinished is not None:
        resume = unfinished.run.path.name
        log.info("goes on with run %s of an earlier firing", resume)
    adapter = await FINETUNE[config.method](config, resume=resume)
    take_signals_back()
    run = RunDirectory(Path(str(adapter)).parent)
    firing.workspace.note_finished(Finished(run.path.name, str(found), replacing))
    return run
