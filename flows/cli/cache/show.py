"""`os-train cache show`."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from flows.cli.cache.answer import answered, table, terminal_width
from flows.cli.cache.words import KINDS, ago, date
from flows.cli.ledger_table import ledger_lines
from opensloth_core.runs.report.numbers import counted, size
from opensloth_core.store.catalog import Artifact, catalog, find_artifact
from opensloth_core.store.collect import with_use_of_tokens
from opensloth_core.store.contents import contents
from opensloth_core.store.part_change import label
from opensloth_core.store.prepared import PreparedManifest
from opensloth_core.store.removal import in_use
from opensloth_core.store.usage import Claim, claims

_NAME_WIDTH = 10
_PART_NAMES = 38
"""Columns that names of a key's parts take."""

_SHORTEST_PART = 16


def run_show(key: str, as_json: bool) -> int:
    """Show one artifact and give the exit code."""
    return answered("os-train cache show", lambda: _show(key, as_json))


def _show(key: str, as_json: bool) -> int:
    artifacts = with_use_of_tokens(catalog())
    artifact = find_artifact(key, artifacts)
    claimed = claims()
    if as_json:
        print(json.dumps(_record(artifact, artifacts, claimed), indent=2))
    else:
        print(*_lines(artifact, artifacts, claimed), sep="\n")
    return 0


def _lines(artifact: Artifact, artifacts: Sequence[Artifact], claimed: Sequence[Claim]) -> list[str]:
    held = contents(artifact, artifacts)
    kind = " ".join(filter(None, (held.method, KINDS[artifact.kind])))
    related = [one.short_key for one in _related(artifact, artifacts)]
    runs = _runs(artifact, claimed)
    facts = {
        "Key": artifact.key,
        "Kind": kind,
        "Model": held.model,
        "Data": held.data,
        "Folder": artifact.folder,
        "Size": _size(artifact),
        "Made": f"{date(artifact.created)}, {ago(artifact.created)}",
        "Used": f"{date(artifact.last_used)}, {ago(artifact.last_used)}",
        "Pinned": "yes, gc leaves it alone" if artifact.is_pinned else None,
        "In use": in_use(artifact, claimed),
        "Damaged": f"{artifact.problem}; the next run makes it again" if artifact.problem else None,
        "Runs": _some(runs) if runs else None,
        "Made from" if artifact.kind == "prepared" else "Basis of": ", ".join(related) or None,
    }
    lines = [f"{name:{_NAME_WIDTH}}{value}" for name, value in facts.items() if value is not None]
    if isinstance(artifact.manifest, PreparedManifest):
        lines += ["", *ledger_lines(artifact.manifest.ledger)]
        settings = {k: _value(v) for k, v in artifact.manifest.preparation.items() if v not in (None, {})}
        lines += _pairs("Settings", settings)
    elif held.rows is not None:
        lines += ["", f"{'Rows':{_NAME_WIDTH}}{held.rows:,}", f"{'Tokens':{_NAME_WIDTH}}{held.tokens:,}"]
    lines += _pairs("Parts of the key", {label(name): _part(part) for name, part in artifact.parts.items()})
    links = [(file.name, size(file.size_bytes), _links(file.num_links)) for file in artifact.files]
    return [*lines, "", *table([("Files", "size", ""), *((f"  {a}", b, c) for a, b, c in links)], (1,))]


def _related(artifact: Artifact, artifacts: Sequence[Artifact]) -> list[Artifact]:
    if artifact.kind == "tokens":
        return [one for one in artifacts if one.is_made_from(artifact)]
    return [one for one in artifacts if artifact.is_made_from(one)]


def _runs(artifact: Artifact, claimed: Sequence[Claim]) -> list[str]:
    if artifact.kind == "merged":
        return sorted(claim.run for claim in claimed if str(artifact.folder) in claim.model_dirs)
    return sorted(claim.run for claim in claimed if claim.prepared_key == artifact.key)


def _some(runs: Sequence[str]) -> str:
    shown = "\n".join(f"{'':{_NAME_WIDTH}}{run}" for run in runs[:3]).strip()
    return shown + (f"\n{'':{_NAME_WIDTH}}and {len(runs) - 3} more" if len(runs) > 3 else "")


def _size(artifact: Artifact) -> str:
    shared = sum(file.size_bytes for file in artifact.files if file.num_links > 1)
    note = f", {size(shared)} of it shared with others" if shared else ""
    return f"{size(artifact.size_bytes)} in {counted(len(artifact.files), 'file')}{note}"


def _links(num_links: int) -> str:
    return "" if num_links == 1 else f"has {num_links} names"


def _pairs(title: str, pairs: Mapping[str, str]) -> list[str]:
    if not pairs:
        return []
    width = max(map(len, pairs))
    return ["", title, *(f"  {name:{width}}  {value}" for name, value in pairs.items())]


def _part(value: str) -> str:
    width = max(_SHORTEST_PART, terminal_width() - _PART_NAMES)
    return value if len(value) <= width else value[: width - 1] + "…"


def _value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _record(artifact: Artifact, artifacts: Sequence[Artifact], claimed: Sequence[Claim]) -> dict[str, Any]:
    return {
        "key": artifact.key,
        "kind": artifact.kind,
        **vars(contents(artifact, artifacts)),
        "folder": str(artifact.folder),
        "size_bytes": artifact.size_bytes,
        "made": artifact.created,
        "used": artifact.last_used,
        "pinned": artifact.is_pinned,
        "in_use": in_use(artifact, claimed),
        "damage": artifact.problem,
        "runs": _runs(artifact, claimed),
        "related": [one.key for one in _related(artifact, artifacts)],
        "manifest": artifact.manifest.model_dump(mode="json") if artifact.manifest else None,
        "files_on_disk": [
            {"name": file.name, "size_bytes": file.size_bytes, "names": file.num_links}
            for file in artifact.files
        ],
    }
