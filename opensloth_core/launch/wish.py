"""What a run asks for when it asks for devices, and what it leaves to others."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Wish:
    """Some of these devices, in one of these numbers."""

    devices: tuple[str, ...]
    """Slots of devices it may have, the best first."""

    sizes: tuple[int, ...]
    """How many of them it can do with, the best number first."""

    def choice(self, free: Collection[str]) -> tuple[str, ...]:
        """What it takes of free devices; none where they are too few."""
        mine = self.among(free)
        return mine[: next((size for size in self.sizes if size <= len(mine)), 0)]

    def claim(self, free: Collection[str]) -> tuple[str, ...]:
        """What nobody behind it in the queue may take: its choice, or all it could add to one later.

        So one that asks for many gathers them, and is not overtaken for ever by those that ask for one.
        """
        return self.choice(free) or self.among(free)

    def among(self, devices: Collection[str]) -> tuple[str, ...]:
        """Those of some devices that it may have."""
        return tuple(device for device in self.devices if device in devices)
