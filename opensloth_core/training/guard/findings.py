"""What all ranks found out about a step that went wrong, brought together without a collective.

A collective would hang where only some of the ranks noticed; the store through which they met does not.
"""

import contextlib
import json
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from torch.distributed import distributed_c10d

from opensloth_core.training.guard.suspects import Examined

WAIT_SECONDS = 60.0
"""For the other ranks to run their rows again."""


@dataclass(frozen=True)
class Finding:
    """What one rank knows of a step."""

    rank: int
    losses: tuple[float, ...]
    """Of its micro-batches."""

    examined: tuple[Examined, ...]
    """Its micro-batches whose loss is not finite."""


def share(own: Finding, step: int, world_size: int) -> list[Finding]:
    """The findings of all ranks that have one, by rank."""
    store = distributed_c10d._get_default_store()
    keys = [f"non-finite/{step}/{rank}" for rank in range(world_size)]
    store.set(keys[own.rank], json.dumps(asdict(own)))
    with contextlib.suppress(RuntimeError):  # time is up: some rank saw nothing wrong
        store.wait(keys, timedelta(seconds=WAIT_SECONDS))
    return [_finding(json.loads(store.get(key))) for key in keys if store.check([key])]


def _finding(record: dict[str, Any]) -> Finding:
    examined = tuple(
        Examined(**{**one, "culprits": tuple(one["culprits"]), "first_rows": tuple(one["first_rows"])})
        for one in record["examined"]
    )
    return Finding(record["rank"], tuple(record["losses"]), examined)
