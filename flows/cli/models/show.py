"""`os-train models show`."""

import json
import time

from flows.cli.cache.answer import answered, table
from flows.cli.cache.words import ago, brief_age, date
from flows.cli.models.words import as_record, metric_change
from opensloth_core.registry.listing import existing_registry, find_version
from opensloth_core.registry.model_registry import Registry
from opensloth_core.registry.records import PromotionRecord, Version
from opensloth_core.runs.report.numbers import counted, size

_NAME_WIDTH = 10
_HEAD = ("version", "", "promoted", "run", "metric", "size", "why")
_NUMBERS = (2, 5)
_YIELDING = (3, 6)


def run_show(name: str, as_json: bool) -> int:
    """Show a model and give the exit code."""
    return answered("os-train models show", lambda: _show(name, as_json))


def _show(name: str, as_json: bool) -> int:
    registry = existing_registry(name)
    current = find_version(registry, None)
    kept, judged = registry.versions(), registry.judged()
    if as_json:
        record = {
            "name": name,
            "location": registry.location,
            "current": current.id,
            "versions": [as_record(one, current.id) for one in kept],
            "judged": judged.model_dump(mode="json") if judged else None,
        }
        print(json.dumps(record, indent=2))
        return 0
    print(*_facts(registry, current, judged), "", sep="\n")
    print(*table([_HEAD, *(_row(one, current.id) for one in kept)], _NUMBERS, _YIELDING), sep="\n")
    return 0


def _facts(registry: Registry, current: Version, judged: PromotionRecord | None) -> list[str]:
    record = current.record
    refused = None if judged is None or judged.promoted else judged
    facts = {
        "Model": registry.name,
        "Place": registry.location,
        "Current": f"{current.id}, promoted {ago(current.manifest.created)} "
        f"({date(current.manifest.created)})",
        "Run": f"{record.run}: {record.method} of {record.base_model}",
        "Data": ", ".join(
            filter(None, (record.data, counted(record.num_rows, "row") if record.num_rows else None))
        ),
        "Metrics": ", ".join(_metrics(record)),
        "Why": record.why,
        "Refused": refused and f"run {refused.run} {ago(refused.time)}: {refused.why}",
    }
    return [f"{name:{_NAME_WIDTH}}{value}" for name, value in facts.items() if value]


def _metrics(record: PromotionRecord) -> list[str]:
    return [
        metric_change(record.model_copy(update={"metric": name}))
        for name in sorted(record.metrics_new, key=lambda name: name != record.metric)
    ]


def _row(version: Version, current: str) -> tuple[str, ...]:
    return (
        version.id,
        "current" if version.id == current else "",
        brief_age(time.time() - version.manifest.created),
        version.record.run,
        metric_change(version.record),
        size(version.manifest.size_bytes),
        version.record.why,
    )
