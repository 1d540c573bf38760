"""`os-train cache gc`."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from flows.cli.cache.answer import answered, table
from flows.cli.cache.words import KINDS, brief_age
from opensloth_core.runs.report.numbers import counted, size
from opensloth_core.store.catalog import Artifact, catalog, freed_bytes, size_on_disk
from opensloth_core.store.collect import Choice, Policy, choose
from opensloth_core.store.contents import contents
from opensloth_core.store.leftovers import Leftover, find_leftovers, forget_results, remove_leftovers
from opensloth_core.store.removal import remove
from opensloth_core.store.usage import claims

_FLAGS = (
    "Artifacts are removed only where a flag says which: --max-age 30d, --max-size 200G, --unreferenced, "
    "--keep 10; see --help."
)


@dataclass(frozen=True)
class _Collected:
    """What went, or would go."""

    choices: Sequence[Choice]
    leftovers: Sequence[Leftover]
    before: int
    after: int
    freed: int

    @property
    def going(self) -> list[Artifact]:
        return [choice.artifact for choice in self.choices if choice.spared is None]


def run_gc(policy: Policy, dry_run: bool, as_json: bool) -> int:
    """Collect what a policy names and give the exit code."""
    return answered("os-train cache gc", lambda: _gc(policy, dry_run, as_json))


def _gc(policy: Policy, dry_run: bool, as_json: bool) -> int:
    artifacts = catalog()
    choices = choose(artifacts, claims(), policy, time.time())
    # Before anything is removed: what it was made of is told by what else is there.
    described = {choice.artifact.key: _described(choice.artifact, artifacts) for choice in choices}
    if not dry_run:
        choices = _removed(choices)
    collected = _collected(artifacts, choices, dry_run)
    if as_json:
        print(json.dumps(_record(collected, dry_run), indent=2))
    else:
        print(*_lines(collected, described, policy, dry_run), sep="\n")
    return 0


def _removed(choices: Sequence[Choice]) -> list[Choice]:
    """The choices as they came to be: a run may have begun to use one meanwhile."""
    removals = remove([choice.artifact for choice in choices if choice.spared is None])
    spared = {removal.artifact.key: removal.spared for removal in removals}
    forget_results(key for key, reason in spared.items() if reason is None)
    return [replace(choice, spared=spared.get(choice.artifact.key, choice.spared)) for choice in choices]


def _collected(artifacts: Sequence[Artifact], choices: Sequence[Choice], dry_run: bool) -> _Collected:
    gone = {choice.artifact.key for choice in choices if choice.spared is None}
    going = [artifact for artifact in artifacts if artifact.key in gone]
    staying = [artifact for artifact in artifacts if artifact.key not in gone]
    leftovers = find_leftovers({one.key for one in staying if one.kind == "prepared"})
    if not dry_run:
        remove_leftovers(leftovers)
    freed = freed_bytes(going) + sum(leftover.size_bytes for leftover in leftovers)
    return _Collected(choices, leftovers, size_on_disk(artifacts), size_on_disk(staying), freed)


def _lines(
    collected: _Collected, described: dict[str, tuple[str, ...]], policy: Policy, dry_run: bool
) -> list[str]:
    lines: list[str] = []
    removed = [choice for choice in collected.choices if choice.spared is None]
    spared = [choice for choice in collected.choices if choice.spared is not None]
    if removed:
        rows = [(*described[choice.artifact.key], choice.reason) for choice in removed]
        head = ("would go" if dry_run else "removed", "kind", "of", "size", "used", "because")
        lines += [*table([head, *rows], (3, 4), (2,)), ""]
    for choice in spared:
        key, kind, of, *_ = described[choice.artifact.key]
        lines.append(f"kept {key}, {kind} {of}: {choice.spared}")
    lines += [""] if spared else []
    if collected.leftovers:
        verb = "would be removed" if dry_run else "removed"
        left = size(sum(leftover.size_bytes for leftover in collected.leftovers))
        lines.append(
            f"{counted(len(collected.leftovers), 'leftover')} of processes and data long gone {verb}, {left}"
        )
    lines.append(_verdict(collected, dry_run))
    if policy.max_size_bytes is not None and collected.after > policy.max_size_bytes:
        over = size(collected.after - policy.max_size_bytes)
        lines.append(
            f"That is still {over} more than {size(policy.max_size_bytes)}: the rest is kept, as said."
        )
    if policy.is_empty:
        lines.append(_FLAGS)
    return lines


def _verdict(collected: _Collected, dry_run: bool) -> str:
    going = collected.going
    if not going and not collected.leftovers:
        return f"Nothing to remove; {size(collected.after)} on disk."
    verb = "would be removed" if dry_run else "removed"
    frees = "would free" if dry_run else "freed"
    shared = size_on_disk(going) - freed_bytes(going)
    note = f" ({size(shared)} has other names and stays)" if shared > 0 else ""
    return (
        f"{counted(len(going), 'artifact')} {verb}, {frees} {size(collected.freed)}{note}; "
        f"{size(collected.after)} of {size(collected.before)} left."
    )


def _described(artifact: Artifact, artifacts: Sequence[Artifact]) -> tuple[str, ...]:
    held = contents(artifact, artifacts)
    return (
        artifact.short_key,
        " ".join(filter(None, (held.method, KINDS[artifact.kind]))),
        " for ".join(filter(None, (held.data, held.model))),
        size(artifact.size_bytes),
        brief_age(time.time() - artifact.last_used),
    )


def _record(collected: _Collected, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "removed": [_choice(one) for one in collected.choices if one.spared is None],
        "kept": [{**_choice(one), "kept_because": one.spared} for one in collected.choices if one.spared],
        "leftovers": [
            {"path": str(one.path), "what": one.what, "size_bytes": one.size_bytes}
            for one in collected.leftovers
        ],
        "freed_bytes": collected.freed,
        "size_bytes_before": collected.before,
        "size_bytes": collected.after,
    }


def _choice(choice: Choice) -> dict[str, Any]:
    artifact = choice.artifact
    return {
        "key": artifact.key,
        "kind": artifact.kind,
        "folder": str(artifact.folder),
        "size_bytes": artifact.size_bytes,
        "used": artifact.last_used,
        "reason": choice.reason,
    }
