"""`os-train models rm`."""

import json
import sys

from flows.cli.cache.answer import answered
from opensloth_core.errors import ConfigError
from opensloth_core.registry.listing import existing_registry, find_version
from opensloth_core.registry.pinned_data import unpin_dropped
from opensloth_core.runs.report.numbers import counted, size


def run_rm(name: str, version: str | None, dry_run: bool, yes: bool, as_json: bool) -> int:
    """Remove a model or a version and give the exit code."""
    return answered("os-train models rm", lambda: _rm(name, version, dry_run, yes or as_json, as_json))


def _rm(name: str, called: str | None, dry_run: bool, yes: bool, as_json: bool) -> int:
    registry = existing_registry(name)
    version = None if called is None else find_version(registry, called)
    going = registry.versions() if version is None else [version]
    size_bytes = sum(one.manifest.size_bytes for one in going)
    what = f"{name} with {counted(len(going), 'version')}" if version is None else f"{name} {version.id}"
    if not dry_run and not yes:
        if not sys.stdin.isatty():
            raise ConfigError(
                "nobody can be asked, since this is no terminal; give --yes, or --dry-run to look"
            )
        if not _agreed(f"Remove {what}, {size(size_bytes)}? [y/N] "):
            print("nothing was removed")
            return 1
    if not dry_run:
        if version is None:
            registry.remove_all()
        else:
            registry.remove(version)
        unpin_dropped(registry)
    if as_json:
        removed = [one.id for one in going]
        print(json.dumps({"dry_run": dry_run, "removed": removed, "size_bytes": size_bytes}, indent=2))
    else:
        print(f"{what} would go, {size(size_bytes)}" if dry_run else f"{what} removed, {size(size_bytes)}")
    return 0


def _agreed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False
