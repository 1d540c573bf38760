"""`os-train models path`."""

import sys

from flows.cli.cache.answer import answered
from opensloth_core.registry.listing import existing_registry, find_version


def run_path(name: str, version: str | None) -> int:
    """Print a version's folder and give the exit code."""
    return answered("os-train models path", lambda: _path(name, version))


def _path(name: str, version: str | None) -> int:
    # The folder alone goes to stdout, which scripts read.
    registry = existing_registry(name, lambda text: print(text, file=sys.stderr))
    print(registry.local_dir(find_version(registry, version)))
    return 0
