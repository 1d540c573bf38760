"""A run's result as something to promote."""

import time
from collections.abc import Mapping
from pathlib import Path

from opensloth_core.errors import ConfigError
from opensloth_core.registry.records import PromotionRecord
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.history import state_of
from opensloth_core.runs.report.record import RunRecord, read_record

_DECIDING = "loss"


def result_of(run: RunDirectory) -> Path:
    """Folder of the result of a run that completed.

    Raises:
        ConfigError: it did not, or it trained nothing.
    """
    record = read_record(run)
    if not record.is_training:
        raise ConfigError(f"run {run.path.name}: prepared data and trained nothing; there is no result")
    state = state_of(run, record)
    if state != "completed":
        raise ConfigError(
            f"run {run.path.name}: is not completed but {state}; let it end or resume it, or promote another"
        )
    return run.adapter_dir


def promotion_record(run: RunDirectory, why: str) -> PromotionRecord:
    """What is known of a run as the record of its promotion, compared with nothing.

    The metrics are those of its last evaluation on the rows that it held out.
    """
    record = read_record(run)
    metrics = record.evaluations[-1].metrics if record.evaluations else {}
    prepared = record.last("prepared") or {}
    rows = (prepared.get("ledger") or {}).get("rows_kept")
    return PromotionRecord(
        run=run.path.name,
        method=record.method,
        base_model=str(record.settings.get("model") or "unknown"),
        prepared_key=prepared.get("key"),
        data=record.data_title,
        metric=_DECIDING if _DECIDING in metrics else next(iter(metrics), None),
        metrics_new=dict(metrics),
        num_rows=rows if isinstance(rows, int) else None,
        versions=_versions(record),
        time=time.time(),
        why=why,
    )


def _versions(record: RunRecord) -> dict[str, str]:
    groups = [value for value in (record.last("versions") or {}).values() if isinstance(value, Mapping)]
    return {str(name): str(version) for group in groups for name, version in group.items() if version}
