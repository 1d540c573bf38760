"""`os-train cache verify`."""

import json
import sys
import time
from collections.abc import Sequence

from flows.cli.cache.answer import answered
from opensloth_core.runs.report.numbers import counted, size
from opensloth_core.store.catalog import Artifact, catalog, find_artifact
from opensloth_core.store.removal import Removal, remove
from opensloth_core.store.verify import verify

DAMAGED = 1

_SAY_AGAIN_SECONDS = 5.0


def run_verify(keys: Sequence[str], delete: bool, as_json: bool) -> int:
    """Verify artifacts and give the exit code: 1 where one is damaged."""
    return answered("os-train cache verify", lambda: _verify(keys, delete, as_json))


def _verify(keys: Sequence[str], delete: bool, as_json: bool) -> int:
    artifacts = catalog()
    if keys:
        artifacts = list({one.key: one for one in (find_artifact(key, artifacts) for key in keys)}.values())
    # A merged model has no digests: it is made again from its sources, or not at all.
    checked = [one for one in artifacts if one.kind != "merged"]
    damaged = _damaged(checked)
    removals = remove([one for one, _ in damaged], damaged=True) if delete else []
    if as_json:
        print(json.dumps(_record(checked, damaged, removals), indent=2))
    else:
        print(*_lines(checked, len(artifacts) - len(checked), damaged, removals, delete), sep="\n")
    return DAMAGED if damaged else 0


def _damaged(artifacts: Sequence[Artifact]) -> list[tuple[Artifact, str]]:
    progress = _Progress(artifacts)
    found = []
    for artifact in artifacts:
        progress.next(artifact)
        problem = verify(artifact.folder)
        # What is gone was removed meanwhile, and is not damaged.
        if problem and artifact.folder.is_dir():
            found.append((artifact, problem))
    progress.end()
    return found


def _lines(
    checked: Sequence[Artifact],
    num_merged: int,
    damaged: Sequence[tuple[Artifact, str]],
    removals: Sequence[Removal],
    delete: bool,
) -> list[str]:
    total = size(sum(artifact.size_bytes for artifact in checked))
    lines = [f"damaged  {artifact.short_key}  {artifact.folder}: {problem}" for artifact, problem in damaged]
    lines += [
        f"removed  {one.artifact.short_key}"
        if one.spared is None
        else f"kept     {one.artifact.short_key}  {one.spared}"
        for one in removals
    ]
    verdict = f"{len(damaged)} damaged" if damaged else "all whole"
    lines.append(f"{counted(len(checked), 'artifact')} verified, {total} read: {verdict}")
    if num_merged:
        lines.append(f"{counted(num_merged, 'merged model')} not verified: they have no digests")
    if damaged and not delete:
        lines.append(
            "The next run that needs a damaged artifact and meets the damage makes it again; "
            "--delete removes it now"
        )
    return lines


def _record(
    checked: Sequence[Artifact], damaged: Sequence[tuple[Artifact, str]], removals: Sequence[Removal]
) -> dict[str, object]:
    spared = {one.artifact.key: one.spared for one in removals}
    return {
        "verified": [artifact.key for artifact in checked],
        "damaged": [
            {
                "key": artifact.key,
                "kind": artifact.kind,
                "folder": str(artifact.folder),
                "problem": problem,
                "removed": artifact.key in spared and spared[artifact.key] is None,
                "kept_because": spared.get(artifact.key),
            }
            for artifact, problem in damaged
        ],
    }


class _Progress:
    """Says on stderr how far reading has come: on one line of a terminal, else a line from time to time."""

    def __init__(self, artifacts: Sequence[Artifact]) -> None:
        self._num, self._total = len(artifacts), sum(artifact.size_bytes for artifact in artifacts)
        self._done = self._bytes = 0
        self._is_terminal = sys.stderr.isatty()
        self._said = time.monotonic()

    def next(self, artifact: Artifact) -> None:
        line = (
            f"verifying {self._done + 1} of {self._num}: {artifact.short_key} ({size(artifact.size_bytes)}), "
            f"{size(self._bytes)} of {size(self._total)} read"
        )
        if self._is_terminal:
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self._said > _SAY_AGAIN_SECONDS:
            print(line, file=sys.stderr, flush=True)
            self._said = time.monotonic()
        self._done, self._bytes = self._done + 1, self._bytes + artifact.size_bytes

    def end(self) -> None:
        if self._is_terminal and self._num:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
