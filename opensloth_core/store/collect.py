"""Which artifacts are collected: by age, by size, by whether anything refers to them.

A policy names what may go, a protection what stays whatever the policy says: what is pinned, what a live run
works with, the bases of what existing runs trained. Tokens were used last when data was last prepared from
them. What is planned here, `removal.remove` does.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from opensloth_core.runs.report.numbers import duration, size
from opensloth_core.store.catalog import Artifact, size_on_disk
from opensloth_core.store.removal import PINNED, in_use
from opensloth_core.store.usage import Claim

FRESH_SECONDS = 3600.0
"""What was made or used since then may be about to be referred to."""


@dataclass(frozen=True)
class Policy:
    """What may go; several rules together name what any of them names."""

    max_age_seconds: float | None = None
    """What was not used for so long."""

    max_size_bytes: int | None = None
    """What was not used for longest, until the rest takes no more than this on disk."""

    keep: int | None = None
    """So many of each kind, those used last, stay whatever else is said; without another rule, others go."""

    unreferenced: bool = False
    """What no run of this home was started with; tokens that no prepared data was made from."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is named."""
        return self == Policy()


@dataclass(frozen=True)
class Choice:
    """An artifact that a policy names."""

    artifact: Artifact
    reason: str
    """By which rule, in words."""

    spared: str | None = None
    """What protects it, in words; None where nothing does."""


def with_use_of_tokens(artifacts: Sequence[Artifact]) -> list[Artifact]:
    """The artifacts, tokens with the last time that data was prepared from them as their last use."""
    return [
        replace(
            artifact,
            last_used=max(
                [artifact.last_used, *(one.created for one in artifacts if one.is_made_from(artifact))]
            ),
        )
        if artifact.kind == "tokens"
        else artifact
        for artifact in artifacts
    ]


def choose(
    artifacts: Sequence[Artifact], claimed: Sequence[Claim], policy: Policy, now: float
) -> list[Choice]:
    """What a policy names, least recently used first; protected ones are among them, and say so.

    Args:
        artifacts: everything in the store.
        claimed: what all runs work or worked with.
        now: Unix seconds.
    """
    choosing = _Choosing(artifacts, claimed, policy.keep)
    if policy == Policy(keep=policy.keep) and policy.keep is not None:
        for artifact in choosing.oldest_first:
            choosing.add(artifact, f"beyond --keep {policy.keep}")
    if policy.max_age_seconds is not None:
        for artifact in choosing.oldest_first:
            unused = now - artifact.last_used
            if unused > policy.max_age_seconds:
                choosing.add(artifact, f"unused for {duration(unused)}")
    if policy.unreferenced:
        choosing.add_unreferenced(now)
    if policy.max_size_bytes is not None:
        choosing.add_until(policy.max_size_bytes)
    return list(choosing.chosen.values())


class _Choosing:
    """Collects choices; an artifact is chosen once, by the first rule that names it."""

    def __init__(self, artifacts: Sequence[Artifact], claimed: Sequence[Claim], keep: int | None) -> None:
        self.oldest_first = sorted(with_use_of_tokens(artifacts), key=lambda one: (one.last_used, one.key))
        self.chosen: dict[str, Choice] = {}
        self._claimed = claimed
        self._kept = {
            artifact.key
            for kind in ("prepared", "tokens", "merged")
            for artifact in [one for one in reversed(self.oldest_first) if one.kind == kind][: keep or 0]
        }

    def add(self, artifact: Artifact, reason: str) -> None:
        if artifact.key not in self.chosen and artifact.key not in self._kept:
            spared = PINNED if artifact.is_pinned else in_use(artifact, self._claimed)
            self.chosen[artifact.key] = Choice(artifact, reason, spared)

    def add_unreferenced(self, now: float) -> None:
        started_with = {claim.prepared_key for claim in self._claimed}
        old = [artifact for artifact in self.oldest_first if now - artifact.last_used > FRESH_SECONDS]
        for artifact in old:
            if artifact.kind == "prepared" and artifact.key not in started_with:
                self.add(artifact, "no run began with it")
            elif artifact.kind == "merged":
                self.add(artifact, "no run began from it")
        staying = [one for one in self.oldest_first if one.kind == "prepared" and not self._goes(one)]
        for artifact in old:
            if artifact.kind == "tokens" and not any(one.is_made_from(artifact) for one in staying):
                self.add(artifact, "no data is from them")

    def add_until(self, max_size_bytes: int) -> None:
        left = _Sizes([artifact for artifact in self.oldest_first if not self._goes(artifact)])
        for artifact in self.oldest_first:
            if left.total <= max_size_bytes:
                return
            if not self._goes(artifact):
                self.add(artifact, f"all is over {size(max_size_bytes)}")
                if self._goes(artifact):
                    left.without(artifact)

    def _goes(self, artifact: Artifact) -> bool:
        choice = self.chosen.get(artifact.key)
        return choice is not None and choice.spared is None


class _Sizes:
    """Bytes on disk of some artifacts, as one after another goes."""

    def __init__(self, artifacts: Sequence[Artifact]) -> None:
        self.total = size_on_disk(artifacts)
        self._names = Counter(file.inode for artifact in artifacts for file in artifact.files)

    def without(self, artifact: Artifact) -> None:
        for file in artifact.files:
            self._names[file.inode] -= 1
            if self._names[file.inode] == 0:
                self.total -= file.size_bytes
