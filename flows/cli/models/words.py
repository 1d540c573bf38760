"""A version in the words of a table, and for JSON."""

from typing import Any

from opensloth_core.registry.records import PromotionRecord, Version
from opensloth_core.runs.report.numbers import measure


def metric_change(record: PromotionRecord) -> str:
    """`loss 1.25 → 0.98`; without the old model `loss 0.98`; nothing where nothing was measured."""
    if record.metric is None:
        return ""
    old, new = record.old_and_new
    before = "" if record.metric not in record.metrics_old else f"{_value(record.metric, old)} → "
    return f"{record.metric} {before}{_value(record.metric, new)}"


def as_record(version: Version, current: str | None) -> dict[str, Any]:
    """A version for JSON."""
    return {
        "id": version.id,
        "current": version.id == current,
        "location": version.location,
        "promoted": version.manifest.created,
        "size_bytes": version.manifest.size_bytes,
        "replaced": version.replaced,
        "record": version.record.model_dump(mode="json"),
    }


def _value(metric: str, value: float | None) -> str:
    return "not a number" if value is None else measure(metric, value)
