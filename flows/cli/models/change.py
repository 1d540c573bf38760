"""`os-train models promote` and `os-train models rollback`."""

import json
import sys

from flows.cli.cache.answer import answered
from flows.cli.models.words import as_record, metric_change
from opensloth_core.registry.finished_run import promotion_record, result_of
from opensloth_core.registry.listing import existing_registry
from opensloth_core.registry.model_registry import open_registry
from opensloth_core.registry.pinned_data import unpin_dropped
from opensloth_core.registry.records import Version
from opensloth_core.runs.named import named_run


def run_promote(name: str, which: str, keep: int, why: str, as_json: bool) -> int:
    """Promote a run's result and give the exit code."""
    return answered("os-train models promote", lambda: _promote(name, which, keep, why, as_json))


def run_rollback(name: str, to: str | None, as_json: bool) -> int:
    """Go back to an earlier version and give the exit code."""
    return answered("os-train models rollback", lambda: _rollback(name, to, as_json))


def _promote(name: str, which: str, keep: int, why: str, as_json: bool) -> int:
    registry = open_registry(name, say=_warn)
    run = named_run(which)
    result = result_of(run)
    version = registry.promote(result, promotion_record(run, why), keep)
    unpin_dropped(registry)
    kept = [one.id for one in registry.versions() if one.id != version.id]
    others = f"kept: {', '.join(kept)}" if kept else "it is the first"
    _say(version, f"{name}: {version.id} is current, from run {_told(version)}; {others}", as_json)
    return 0


def _rollback(name: str, to: str | None, as_json: bool) -> int:
    registry = existing_registry(name, _warn)
    before = registry.current()
    version = registry.rollback(to)
    was = f"; it was {before.id}" if before else ""
    _say(version, f"{name}: {version.id} is current again, from run {_told(version)}{was}", as_json)
    return 0


def _told(version: Version) -> str:
    return " · ".join(filter(None, (version.record.run, metric_change(version.record))))


def _say(version: Version, line: str, as_json: bool) -> None:
    print(json.dumps(as_record(version, version.id), indent=2) if as_json else line)


def _warn(text: str) -> None:
    print(text, file=sys.stderr)
