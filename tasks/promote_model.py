"""The task that makes a better model the current version, or notes why another was refused."""

import re
from pathlib import Path
from typing import Any, cast

from prefect import State, task
from prefect.artifacts import acreate_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event
from prefect.logging import get_run_logger

from opensloth_core.errors import OpenSlothError
from opensloth_core.registry.model_registry import Registry
from opensloth_core.registry.pinned_data import promote_with_data
from opensloth_core.registry.records import PromotionRecord
from tasks.failed import failed

NOT_PROMOTED = "opensloth.model.not-promoted"
"""Event that says that a model was refused; deployments/notify.yaml waits for it."""


@task(name="promote-model", cache_policy=NO_CACHE, persist_result=False)
async def promote_model(
    registry: Registry, adapter_dir: Path, record: PromotionRecord, keep: int, replacing: str | None
) -> str | State[Any] | None:
    """See `promoted_or_noted`; the state that an error ends in."""
    try:
        return await _promoted_or_noted(registry, adapter_dir, record, keep, replacing)
    except OpenSlothError as err:
        return failed(err, None)


async def promoted_or_noted(
    registry: Registry, adapter_dir: Path, record: PromotionRecord, keep: int, replacing: str | None
) -> str | None:
    """The version that an adapter has become; None where the record is of a refusal.

    Args:
        registry: of the model, whose lock the caller holds.

    Raises:
        StoreError: see `Registry.promote`.
    """
    state = await cast(Any, promote_model(registry, adapter_dir, record, keep, replacing, return_state=True))
    return cast(str | None, await state.aresult())


async def _promoted_or_noted(
    registry: Registry, adapter_dir: Path, record: PromotionRecord, keep: int, replacing: str | None
) -> str | None:
    logger, name, promoted = get_run_logger(), registry.name, None
    if record.promoted:
        version = promote_with_data(registry, adapter_dir, record, keep, replacing)
        promoted = version.id
        logger.info("%s is now %s in %s: %s", name, version.id, registry.location, record.why)
    else:
        registry.note_judged(record)
        logger.warning("%s stays as it was: %s", name, record.why)
        # Automations may wait 15 minutes for events of states of runs that were scheduled just before.
        emit_event(
            NOT_PROMOTED,
            resource={"prefect.resource.id": f"opensloth.model.{name}", "prefect.resource.name": name},
            payload={"why": record.why, "run": record.run},
        )
    await _show(name, record, promoted)
    return promoted


async def _show(name: str, record: PromotionRecord, promoted: str | None) -> None:
    """The comparison in Prefect's page."""
    names = [*record.metrics_new, *(one for one in record.metrics_old if one not in record.metrics_new)]
    outcome = f"promoted as {promoted}" if promoted else "not promoted"
    await acreate_table_artifact(
        key=re.sub(r"[^a-z0-9]+", "-", f"retrain-{name}").strip("-"),
        description=f"{record.run}: {outcome}. {record.why}",
        table=[
            {
                "metric": one,
                "in use until now": record.metrics_old.get(one),
                "new": record.metrics_new.get(one),
                "decides": "yes" if one in (record.metric, f"earlier/{record.metric}") else "",
            }
            for one in names
        ],
    )
