"""Which artifacts of a remote store are collected: by age since they were published, size and number.

Nobody records there when an artifact was used last, or by whom, so that only what was published when counts.
A machine that is fetching one that goes prepares it instead.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from opensloth_core.errors import ConfigError
from opensloth_core.runs.report.numbers import duration, size
from opensloth_core.store.collect import Policy
from opensloth_core.store.remote.listing import RemoteArtifact
from opensloth_core.store.removal import PINNED


@dataclass(frozen=True)
class RemoteChoice:
    """An artifact that a policy names."""

    artifact: RemoteArtifact
    reason: str
    spared: str | None = None
    """What protects it, in words; None where nothing does."""


def choose_remote(
    artifacts: Sequence[RemoteArtifact], policy: Policy, pinned: Collection[str], now: float
) -> list[RemoteChoice]:
    """What a policy names, first published first; those pinned on this machine are among them, and say so.

    Args:
        now: Unix seconds.

    Raises:
        ConfigError: the policy asks for what is not known of a remote store.
    """
    if policy.unreferenced:
        raise ConfigError(
            "--unreferenced: what runs of other machines refer to is not known; drop it, or give --max-age, "
            "--max-size or --keep"
        )
    oldest_first = sorted(artifacts, key=lambda one: (one.created, one.key))
    kept = {
        one
        for kind in ("prepared", "tokens")
        for one in [one for one in reversed(oldest_first) if one.kind == kind][: policy.keep or 0]
    }
    left = sum(one.size_bytes for one in oldest_first)
    chosen = []
    for artifact in oldest_first:
        reason = _reason(artifact, policy, now, left)
        if reason is None or artifact in kept:
            continue
        spared = PINNED if artifact.key in pinned else None
        chosen.append(RemoteChoice(artifact, reason, spared))
        if spared is None:
            left -= artifact.size_bytes
    return chosen


def _reason(artifact: RemoteArtifact, policy: Policy, now: float, left: int) -> str | None:
    age = now - artifact.created
    if policy.max_age_seconds is not None and age > policy.max_age_seconds:
        return f"published {duration(age)} ago"
    if policy.max_size_bytes is not None and left > policy.max_size_bytes:
        return f"all is over {size(policy.max_size_bytes)}"
    if policy.keep is not None and policy == Policy(keep=policy.keep):
        return f"beyond --keep {policy.keep}"
    return None
