"""Somebody who asks a store, and remembers what they were told."""

from opensloth_core.store.single_flight import Asker


class Told:
    """Somebody who asks, and the lines they were told."""

    def __init__(self, name: str = "run test") -> None:
        self.lines: list[str] = []
        self.asker = Asker(name, self.lines.append)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)
