"""How many cores this process may keep busy."""

import os


def num_cores() -> int:
    """This rank's share of the cores that the machine gives us, at least 1."""
    world_size = os.environ.get("LOCAL_WORLD_SIZE") or os.environ.get("WORLD_SIZE") or "1"
    ranks = int(world_size) if world_size.isdecimal() else 1
    return max(1, len(os.sched_getaffinity(0)) // max(1, ranks))
