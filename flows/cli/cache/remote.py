"""`os-train cache ls --remote` and `gc --remote`: the store that machines share."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict

from flows.cli.cache.answer import answered, table
from flows.cli.cache.words import KINDS, brief_age
from opensloth_core.data.read.place import shown
from opensloth_core.errors import ConfigError
from opensloth_core.runs.report.numbers import counted, size
from opensloth_core.store.catalog import catalog, short
from opensloth_core.store.collect import Policy
from opensloth_core.store.pins import pinned_keys
from opensloth_core.store.remote.choose import RemoteChoice, choose_remote
from opensloth_core.store.remote.listing import Abandoned, collect_abandoned, delete, list_artifacts
from opensloth_core.store.remote.place import VARIABLE, store_url

HINT = "Artifacts are removed only where a flag says which: --max-age 30d, --max-size 200G, --keep 10."

_ABANDONED_SECONDS = 24 * 3600.0
"""No upload goes on for so long without a sign of life."""


def run_remote_ls(as_json: bool) -> int:
    """List the shared store and give the exit code."""
    return answered("os-train cache ls", lambda: _ls(as_json))


def run_remote_gc(policy: Policy, dry_run: bool, as_json: bool) -> int:
    """Collect what a policy names in the shared store and give the exit code."""
    return answered("os-train cache gc", lambda: _gc(policy, dry_run, as_json))


def _url() -> str:
    url = store_url()
    if url is None:
        raise ConfigError(f"--remote: there is no shared store; set {VARIABLE} to where it is")
    return url


def _ls(as_json: bool) -> int:
    url = _url()
    found = list_artifacts(url)
    here = {artifact.key for artifact in catalog()}
    if as_json:
        listed = [{**asdict(one), "is_here": one.key in here} for one in found]
        print(json.dumps({"store": shown(url), "artifacts": listed}, indent=2))
    elif not found:
        print(f"Nothing is published yet in {shown(url)}.")
    else:
        head = ("key", "kind", "size", "made", "here", "by")
        rows = [
            (
                short(one.key),
                KINDS[one.kind],
                size(one.size_bytes),
                brief_age(time.time() - one.created),
                "yes" if one.key in here else "no",
                one.publisher,
            )
            for one in found
        ]
        total = size(sum(one.size_bytes for one in found))
        print(*table([head, *rows], (2, 3), (5,)), sep="\n")
        print("", f"{counted(len(found), 'artifact')}, {total} in {shown(url)}", sep="\n")
    return 0


def _gc(policy: Policy, dry_run: bool, as_json: bool) -> int:
    url = _url()
    choices = choose_remote(list_artifacts(url), policy, pinned_keys(), time.time())
    going = [choice.artifact for choice in choices if choice.spared is None]
    freed = sum(one.size_bytes if dry_run else delete(url, one.kind, one.key) for one in going)
    abandoned = collect_abandoned(url, _ABANDONED_SECONDS, dry_run)
    if as_json:
        record = {
            "store": shown(url),
            "dry_run": dry_run,
            "removed": [{**asdict(c.artifact), "reason": c.reason} for c in choices if c.spared is None],
            "kept": [{**asdict(c.artifact), "kept_because": c.spared} for c in choices if c.spared],
            "freed_bytes": freed + abandoned.size_bytes,
            "abandoned": asdict(abandoned),
        }
        print(json.dumps(record, indent=2))
    else:
        print(*_lines(choices, abandoned, freed, policy, dry_run), sep="\n")
    return 0


def _lines(
    choices: Sequence[RemoteChoice], abandoned: Abandoned, freed: int, policy: Policy, dry_run: bool
) -> list[str]:
    lines: list[str] = []
    going = [choice for choice in choices if choice.spared is None]
    if going:
        head = ("would go" if dry_run else "removed", "kind", "size", "because")
        rows = [
            (short(one.artifact.key), KINDS[one.artifact.kind], size(one.artifact.size_bytes), one.reason)
            for one in going
        ]
        lines += [*table([head, *rows], (2,)), ""]
    lines += [f"kept {short(one.artifact.key)}: {one.spared}" for one in choices if one.spared]
    verb, frees = ("would be removed", "would free") if dry_run else ("removed", "freed")
    attempts = counted(abandoned.num_attempts, "abandoned attempt")
    uploads = f" and {counted(abandoned.num_uploads, 'unfinished upload')}" if abandoned.num_uploads else ""
    total = size(freed + abandoned.size_bytes)
    lines.append(f"{counted(len(going), 'artifact')}, {attempts}{uploads} {verb}, {frees} {total}.")
    if policy.is_empty:
        lines.append(HINT)
    return lines
