"""What a run asks for when it asks for devices, until it has them; and what it says meanwhile."""

import os
import time
from collections.abc import Callable, Mapping
from typing import Literal

from opensloth_core.config.gpus import GpuSelection
from opensloth_core.launch.gpus import MemoryUse, memory_use
from opensloth_core.launch.queue import Ticket, Waiting
from opensloth_core.launch.slots import Busy, Holder, Reservation, Slots
from opensloth_core.launch.wish import Wish

Say = Callable[[str, Literal["info", "warning"]], None]
"""Told a line for the person watching, and its level."""

LOOK_SECONDS = 2.0
"""How often the driver is asked who else uses memory, while waiting."""


class Request:
    """What a run asks for until it is granted.

    Args:
        gpus: as the user says it.
        sizes: how many devices the run can do with, the best number first.
        devices: names of the devices in this process, by their slots, in order.
    """

    def __init__(
        self,
        gpus: GpuSelection,
        sizes: tuple[int, ...],
        devices: Mapping[str, str],
        slots: Slots,
        name: str,
        say: Say,
        memory_use: Callable[[str], MemoryUse | None] = memory_use,
    ) -> None:
        self._gpus, self._sizes, self._names, self._say = gpus, sizes, devices, say
        self._ticket = Ticket(slots, Holder(name, os.getpid()))
        self._memory_use = memory_use
        self._reservation: Reservation | None = None
        self._held: dict[str, Holder | None] = {}
        self._used_by_others: dict[str, MemoryUse] = {}
        self._looked = float("-inf")
        self._began = time.monotonic()
        self._said: str | None = None

    @property
    def devices(self) -> tuple[str, ...]:
        """One torch device a rank, once granted."""
        assert self._reservation is not None, "granted"
        taken = self._reservation.devices
        names = [name for slot, name in self._names.items() if slot in taken]
        return tuple("cpu" if name.startswith("cpu") else name for name in names)

    def is_granted(self) -> bool:
        """Whether the devices are held, after another attempt. Says a line when the reason to wait is new."""
        try:
            if time.monotonic() - self._looked > LOOK_SECONDS:
                self._look()
            answer = self._ticket.ask(self._wish())
        except Busy:
            return False
        if isinstance(answer, Waiting):
            line = self._waiting_line(answer)
            if line != self._said:
                self._say(line, "info")
                self._said = line
            return False
        self._reservation = answer
        self._tell_what_was_taken(answer.devices)
        return True

    def end(self) -> None:
        """Let go of the devices, or of the place in the queue."""
        self._ticket.leave()
        if self._reservation:
            self._reservation.release()

    def _look(self) -> None:
        """Find out which devices other programs have most of the memory of."""
        self._held = self._ticket.held(Wish(tuple(self._names), self._sizes))
        free = [slot for slot in self._names if slot not in self._held]
        uses = {slot: use for slot in free if (use := self._memory_use(slot))}
        self._used_by_others = {slot: use for slot, use in uses.items() if use.is_most}
        self._looked = time.monotonic()

    def _wish(self) -> Wish:
        """ "auto" takes nothing that another program has; a number does where there are not enough others."""
        own = tuple(slot for slot in self._names if slot not in self._used_by_others)
        others = tuple(self._used_by_others)
        if isinstance(self._gpus, tuple):
            return Wish(tuple(self._names), self._sizes)
        is_short = self._gpus != "auto" and len(own) < self._sizes[0]
        return Wish(own + others if is_short else own, self._sizes)

    def _waiting_line(self, waiting: Waiting) -> str:
        need, unit = self._sizes[-1], self._unit
        have = len(waiting.left)
        what = f"{need - have} of {need} {unit}s" if need > 1 else f"a {unit}"
        reasons = self._reasons(waiting.held, waiting.claimed)
        if not waiting.held and not waiting.claimed:
            # Nobody knows whether that program ever ends.
            numbers = [self._names[slot].removeprefix("cuda:") for slot in self._used_by_others]
            reasons.append(f"--gpus {','.join(numbers)}{',' * (len(numbers) == 1)} takes it all the same")
        return f"waiting for {what}: {'; '.join(reasons)}"

    def _reasons(
        self, held: Mapping[str, Holder | None], claimed: Mapping[str, Holder], but: tuple[str, ...] = ()
    ) -> list[str]:
        """Why devices cannot be had, those with the same reason together."""
        devices: dict[str, list[str]] = {}
        for slot, name in self._names.items():
            if slot in but:
                continue
            if slot in held:
                devices.setdefault(f"used by {held[slot] or 'another run'}", []).append(name)
            elif slot in claimed:
                devices.setdefault(f"next for {claimed[slot]}", []).append(name)
            elif self._gpus == "auto" and slot in self._used_by_others:
                reason = f"left to another program ({self._used_by_others[slot]})"
                devices.setdefault(reason, []).append(name)
        return [
            f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} {reason}"
            for reason, names in devices.items()
        ]

    def _tell_what_was_taken(self, taken: tuple[str, ...]) -> None:
        names = ", ".join(name for slot, name in self._names.items() if slot in taken)
        if self._said is not None:
            self._say(f"got {names} after {time.monotonic() - self._began:.0f} s", "info")
        if self._gpus == "auto" and len(taken) < len(self._names) and not names.startswith("cpu"):
            reasons = self._reasons(self._held, {}, but=taken) or ["more cannot share the global batch"]
            self._say(f"taking {names}: {'; '.join(reasons)}", "info")
        for slot in taken:
            if slot in self._used_by_others:
                use = self._used_by_others[slot]
                self._say(f"{self._names[slot]}: {use}; memory may run out", "warning")

    @property
    def _unit(self) -> str:
        return "CPU slot" if next(iter(self._names)).startswith("cpu:") else "GPU"
