"""Retraining as data grows: nothing new? stop. Else fine-tune, compare with what is in use, promote."""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from prefect import State, flow, runtime
from prefect.exceptions import CancelledRun
from prefect.logging import get_run_logger
from prefect.states import Completed
from pydantic import Field, WithJsonSchema

from flows.console import outlive_console
from flows.ended import cancelled
from flows.finetune import FLOWS as FINETUNE
from opensloth_core.config.data import Method
from opensloth_core.config.form.values import FORMS
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError, OpenSlothError
from opensloth_core.launch.interrupts import signals_cancel, take_signals_back
from opensloth_core.registry.model_registry import Registry, open_registry
from opensloth_core.registry.records import Version
from opensloth_core.retrain.compared import check_comparable, earlier_rows
from opensloth_core.retrain.fingerprint import SourceFingerprint
from opensloth_core.retrain.form import settings_schema
from opensloth_core.retrain.judgement import judgement
from opensloth_core.retrain.settings import retraining_config, with_adapter
from opensloth_core.retrain.take_up import unfinished_run, unjudged_run
from opensloth_core.retrain.verdict import judge
from opensloth_core.retrain.workspace import Finished, Workspace
from opensloth_core.runs.directory import RunDirectory
from tasks.admit import admit
from tasks.compare_models import compared
from tasks.cover_missed import cover_missed
from tasks.failed import failed
from tasks.mark_crashed import mark_crashed
from tasks.promote_model import promoted_or_noted
from tasks.watch_source import new_rows_counted, watched

NOTHING_NEW, BUSY = "nothing new", "already running"
PROMOTED, NOT_PROMOTED = "promoted", "not promoted"
"""Names of the states that a retraining completes in; automations see them as `prefect.flow-run.<name>`."""


def run_name() -> str:
    """`retrain · support-bot · tickets`, from the parameters of the current flow run."""
    given = runtime.flow_run.parameters
    try:
        return f"retrain · {given['name']} · {_config(given).data_title}"
    except ConfigError:
        return "retrain · refused"


@flow(name="retrain", flow_run_name=run_name, persist_result=False)
async def retrain(
    name: str,
    data: str | list[str],
    model: str,
    method: Method = "sft",
    min_improvement: Annotated[float, Field(ge=0, lt=1)] = 0.01,
    keep: Annotated[int, Field(ge=1)] = 5,
    warm_start: bool = False,
    settings: Annotated[dict[str, Any], WithJsonSchema(settings_schema())] = {},  # noqa: B006
) -> State:
    """Train a model again if its data changed, and promote it if it is better than the one in use.

    Args:
        name: What the model is called; its versions are in $OPENSLOTH_HOME/models, or in OPENSLOTH_MODELS.
        data: What is watched: files, folders, globs, URLs (s3://, …) or a hub data set.
        model: The base model: a folder, a hub id or "embedded".
        method: How it is trained.
        min_improvement: By what share the loss (grpo: the mean reward) on held-out rows has to be better than
            that of the version in use, or of the base model where there is none.
        keep: How many promoted versions are kept, for rolling back.
        warm_start: Go on with the promoted adapter, instead of a new one on the base model.
        settings: All else, by the names and in the groups of the form of finetune-sft, -dpo or -grpo; a tenth
            of the rows is held out unless eval_size gives another share.
    """
    outlive_console()
    given = {"data": data, "model": model, "method": method, "settings": settings}
    try:
        config = retraining_config(_config(given))
        await admit(config)
        await mark_crashed()
        registry = open_registry(name, say=get_run_logger().info)
        firing = _Firing(registry, Workspace(name), config, min_improvement, keep, warm_start)
        with signals_cancel(), ExitStack() as stack:
            try:
                await asyncio.to_thread(stack.enter_context, registry.lock())
            except ConfigError as err:
                return Completed(name=BUSY, message=str(err))
            return await _retrain(firing, stack)
    except (asyncio.CancelledError, CancelledRun):
        return cancelled()
    except OpenSlothError as err:
        return failed(err, None)


def _config(given: Mapping[str, Any]) -> OpenSlothConfig:
    first = {name: given[name] for name in ("data", "model")}
    config = FORMS[given.get("method", "sft")].config_of({**given.get("settings", {}), **first})
    assert isinstance(config, OpenSlothConfig), "the forms of methods are those of trainings"
    return config


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
    if (known := _already_judged(registry, found)) is not None:
        return Completed(name=NOTHING_NEW, message=known)
    current = registry.current()
    current_dir = None
    if current is not None:
        check_comparable(current, config, found)
        current_dir = await asyncio.to_thread(stack.enter_context, registry.hold(current))
    run = await _trained(firing, found, current, current_dir if firing.warm_start else None)
    earlier_key = await asyncio.to_thread(earlier_rows, current, config, get_run_logger().warning)
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


def _already_judged(registry: Registry, found: SourceFingerprint) -> str | None:
    """What came of the same data and settings before; None where they are new."""
    current, last = registry.current(), registry.judged()
    if current is not None and found.is_same(SourceFingerprint.parse(current.record.source_fingerprint)):
        return f"nothing new since version {current.id}, which is in use"
    if last is not None and found.is_same(SourceFingerprint.parse(last.source_fingerprint)):
        outcome = "promoted, and is not in use any more" if last.promoted else f"not promoted: {last.why}"
        return f"nothing new since run {last.run}, which was {outcome}"
    return None
