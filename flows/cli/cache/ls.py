"""`os-train cache ls`."""

import json
import time
from collections.abc import Sequence
from typing import Any

from flows.cli.cache.answer import answered, table, terminal_width
from flows.cli.cache.words import KINDS, brief_age, compact
from opensloth_core.runs.report.numbers import counted, size
from opensloth_core.store.catalog import Artifact, catalog, size_on_disk
from opensloth_core.store.collect import with_use_of_tokens
from opensloth_core.store.contents import Contents, contents
from opensloth_core.store.home import home_dir
from opensloth_core.store.removal import in_use
from opensloth_core.store.usage import claims

_HEAD = ("key", "", "kind", "model", "data", "gpus", "rows", "tokens", "size", "made", "used")
_NUMBERS = (5, 6, 7, 8, 9, 10)
_YIELDING = (3, 4)
_MARKS = {"p": "pinned", "u": "in use", "!": "damaged"}

_WIDE = 96
"""Columns of a terminal from which on there is room for the last use, too."""


def run_ls(as_json: bool) -> int:
    """List the store and give the exit code."""
    return answered("os-train cache ls", lambda: _ls(as_json))


def _ls(as_json: bool) -> int:
    artifacts = with_use_of_tokens(catalog())
    claimed = claims()
    entries = [(one, contents(one, artifacts), in_use(one, claimed)) for one in artifacts]
    if as_json:
        listed = [_record(*entry) for entry in entries]
        print(json.dumps({"artifacts": listed, "size_bytes": size_on_disk(artifacts)}, indent=2))
    elif not artifacts:
        print(f"Nothing is kept yet in {home_dir() / 'store'}.")
    else:
        now = time.time()
        rows = [_HEAD, *(_row(*entry, now) for entry in entries)]
        if terminal_width() < _WIDE:
            rows = [row[:-1] for row in rows]
        print(*table(rows, _NUMBERS, _YIELDING), sep="\n")
        print("", *_legend(rows), *_totals(artifacts), sep="\n")
    return 0


def _row(artifact: Artifact, held: Contents, used_by: str | None, now: float) -> tuple[str, ...]:
    kind = " ".join(filter(None, (held.method, KINDS[artifact.kind])))
    marks = {"p": artifact.is_pinned, "u": used_by, "!": artifact.problem}
    return (
        artifact.short_key,
        "".join(mark for mark, is_so in marks.items() if is_so),
        kind,
        held.model or "",
        held.data or "",
        "" if held.gpus is None else str(held.gpus),
        compact(held.rows),
        compact(held.tokens),
        size(artifact.size_bytes),
        brief_age(now - artifact.created),
        brief_age(now - artifact.last_used),
    )


def _legend(rows: Sequence[Sequence[str]]) -> list[str]:
    used = {mark for row in rows for mark in row[1]}
    meant = ", ".join(f"{mark} {meaning}" for mark, meaning in _MARKS.items() if mark in used)
    return [meant] if meant else []


def _totals(artifacts: Sequence[Artifact]) -> list[str]:
    shared = sum(artifact.size_bytes for artifact in artifacts) - size_on_disk(artifacts)
    once = f"; {size(shared)} that several share counted once" if shared else ""
    return [f"{counted(len(artifacts), 'artifact')}, {size(size_on_disk(artifacts))} on disk{once}"]


def _record(artifact: Artifact, held: Contents, used_by: str | None) -> dict[str, Any]:
    return {
        "key": artifact.key,
        "kind": artifact.kind,
        **vars(held),
        "size_bytes": artifact.size_bytes,
        "made": artifact.created,
        "used": artifact.last_used,
        "pinned": artifact.is_pinned,
        "in_use": used_by,
        "damage": artifact.problem,
        "folder": str(artifact.folder),
    }
