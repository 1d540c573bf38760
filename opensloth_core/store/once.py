"""An artifact for whoever asks: found whole in the store, or made there once for all who ask meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from opensloth_core.store.artifact import discard
from opensloth_core.store.single_flight import Asker, single_flight

Found = TypeVar("Found")


@dataclass(frozen=True)
class Wanted(Generic[Found]):
    """An artifact that somebody asks for."""

    folder: Path
    """Where it is, or will be."""

    find: Callable[[], tuple[Found | None, str | None]]
    """Gives it where it is whole, else what is wrong with the one that is there, if any."""

    make: Callable[[], Found]
    """Makes it in its folder."""

    work: str
    """What one who makes it does, as others are told: "prepares the same data"."""

    making: str
    """The same in a word: "preparing"."""


def found_or_made(wanted: Wanted[Found], asker: Asker) -> tuple[Found, bool]:
    """The artifact, and whether it was there already.

    One process makes it; the others wait and find it, or take over when that process ends before it is done.
    A damaged one is said to be so, removed and made again.

    Raises:
        StoreError: the store cannot be written; also what making it raises.
    """
    found, _ = wanted.find()
    if found is not None:
        return found, True
    kind, key = wanted.folder.parent.name, wanted.folder.name
    with single_flight(f"{kind}-{key}", asker, wanted.work) as waited_for:
        found, problem = wanted.find()
        if waited_for is not None:
            how = "ended before it was done; taking over" if found is None else "is done"
            asker.say(f"{waited_for} {how}")
        if found is not None:
            return found, True
        if problem is not None:
            asker.say(f"{wanted.folder}: {problem}; {wanted.making} it again")
            discard(wanted.folder)
        return wanted.make(), False
