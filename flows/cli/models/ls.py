"""`os-train models ls`."""

import json
import sys
import time

from flows.cli.cache.answer import answered, table
from flows.cli.cache.words import brief_age
from flows.cli.models.words import as_record, metric_change
from opensloth_core.data.read.place import shown
from opensloth_core.errors import OpenSlothError
from opensloth_core.registry.listing import model_names
from opensloth_core.registry.model_registry import open_registry
from opensloth_core.registry.names import models_root
from opensloth_core.registry.records import Version

_COMMAND = "os-train models ls"
_HEAD = ("model", "version", "promoted", "run", "data", "metric", "kept")
_NUMBERS = (2, 6)
_YIELDING = (3, 4)


def run_ls(as_json: bool) -> int:
    """List promoted models and give the exit code: 1 where one of them cannot be read."""
    return answered(_COMMAND, lambda: _ls(as_json))


def _ls(as_json: bool) -> int:
    found: dict[str, tuple[Version, list[Version]]] = {}
    problems = []
    for name in model_names():
        try:
            registry = open_registry(name)
            current = registry.current()
            if current is not None:
                found[name] = (current, registry.versions())
        except OpenSlothError as err:
            problems.append(str(err))
    if as_json:
        models = [
            {"name": name, "current": as_record(now, now.id), "kept": [one.id for one in kept]}
            for name, (now, kept) in found.items()
        ]
        print(json.dumps({"models": models}, indent=2))
    elif found:
        rows = [_row(name, now, len(kept)) for name, (now, kept) in found.items()]
        print(*table([_HEAD, *rows], _NUMBERS, _YIELDING), sep="\n")
    elif not problems:
        print(f"Nothing was promoted yet in {shown(models_root())}: os-train models promote NAME RUN")
    for problem in problems:
        print(f"{_COMMAND}: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _row(name: str, now: Version, num_kept: int) -> tuple[str, ...]:
    return (
        name,
        now.id,
        brief_age(time.time() - now.manifest.created),
        now.record.run,
        now.record.data or "",
        metric_change(now.record),
        str(num_kept),
    )
