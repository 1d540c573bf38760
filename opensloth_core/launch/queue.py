"""The queue for devices: runs that wait get them in the order in which they came.

Who comes takes a number. A run takes devices only if those before it leave them over: each of them, in order,
claims what it would take of what is free, or, where that is too little, all that it could use. So nobody is
overtaken for ever, a run that asks for one device does not wait for one that asks for others, and since
devices are taken all at once or not at all, none waits while it holds some.

    queue/000000000007-31c4     locked by the run that waits; says what it wishes
"""

import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from opensloth_core.launch.slots import Holder, Reservation, Slots, read_holder, usable, write_record
from opensloth_core.launch.wish import Wish
from opensloth_core.store.file_lock import lock_file


@dataclass(frozen=True)
class Waiting:
    """Why a run has to wait."""

    held: dict[str, Holder | None]
    """Devices of its wish that others use."""

    claimed: dict[str, Holder]
    """Devices of its wish that are free, and are for those who came before."""

    left: tuple[str, ...]
    """Devices of its wish that it could have, which are too few."""


class Ticket:
    """The place of a run in the queue; it has none before it first asked in vain.

    Args:
        holder: who waits, and will hold the devices.
    """

    def __init__(self, slots: Slots, holder: Holder) -> None:
        self._slots = slots
        self._holder = holder
        self._path: Path | None = None
        self._descriptor = -1

    def held(self, wish: Wish) -> dict[str, Holder | None]:
        """Those devices of a wish that are in use.

        Raises:
            Busy: others are taking devices just now.
            StoreError: the files of the slots cannot be used.
        """
        with usable(self._slots.folder), self._slots.turn():
            return self._slots.held(wish.devices)

    def ask(self, wish: Wish) -> Reservation | Waiting:
        """Take what is wished for, or a place in the queue.

        The wish may change from one time to the next; the place stays.

        Raises:
            Busy: others are taking devices just now.
            StoreError: the files of the slots cannot be used.
        """
        with usable(self._slots.folder), self._slots.turn():
            held = self._slots.held(wish.devices)
            free = [device for device in wish.devices if device not in held]
            claimed = self._claimed(free)
            left = [device for device in free if device not in claimed]
            if chosen := wish.choice(left):
                reservation = self._slots.take(chosen, self._holder)
                self.leave()
                return reservation
            self._enter(wish)
            return Waiting(held, claimed, tuple(left))

    def leave(self) -> None:
        """Give up the place in the queue."""
        if self._path is not None:
            # Removed while it is locked: nobody else can have a file of this name.
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._path = None

    def _enter(self, wish: Wish) -> None:
        if self._path is None:
            numbers = [int(path.name.partition("-")[0]) for path in self._slots.queue.iterdir()]
            path = self._slots.queue / f"{max(numbers, default=0) + 1:012d}-{secrets.token_hex(2)}"
            descriptor = lock_file(path, wait=False)
            assert descriptor is not None, "the file is new"
            self._path, self._descriptor = path, descriptor
        write_record(self._descriptor, {**asdict(self._holder), **asdict(wish)})

    def _claimed(self, free: list[str]) -> dict[str, Holder]:
        """Free devices that those before this one in the queue claim; places of the dead are removed."""
        claimed: dict[str, Holder] = {}
        for path in sorted(self._slots.queue.iterdir()):
            if path == self._path:
                break
            descriptor = lock_file(path, wait=False)
            if descriptor is not None:
                path.unlink(missing_ok=True)
                os.close(descriptor)
                continue
            holder, wish = read_holder(path), _read_wish(path)
            if holder is None or wish is None:  # on its way out
                continue
            left = [device for device in self._free_for(wish, free) if device not in claimed]
            claimed.update(dict.fromkeys(wish.claim(left), holder))
        return {device: holder for device, holder in claimed.items() if device in free}

    def _free_for(self, wish: Wish, free: list[str]) -> list[str]:
        """Devices of another's wish that are free, those beside the ones known to be so included."""
        others = [device for device in wish.devices if device not in free]
        held = self._slots.held(others)
        return [device for device in wish.devices if device in free or device not in held]


def _read_wish(path: Path) -> Wish | None:
    with suppress(OSError, ValueError, TypeError, KeyError):
        record = json.loads(path.read_bytes())
        return Wish(tuple(map(str, record["devices"])), tuple(map(int, record["sizes"])))
    return None
