"""Whether the GPUs of a run are free and of one kind."""

from collections.abc import Sequence

from opensloth_core.doctor.finding import Finding, warning
from opensloth_core.errors import StoreError
from opensloth_core.launch.devices import visible_gpus
from opensloth_core.launch.gpus import MemoryUse, gpu_ids, memory_use, physical_ids
from opensloth_core.launch.slots import Busy, Slots, slots_dir, usable
from opensloth_core.plan.device import Device
from opensloth_core.runs.report.numbers import counted

NAME = "GPUs"


def devices_in_use(devices: Sequence[str]) -> list[Finding]:
    """Warnings of GPUs that other runs or programs use; a run waits for them.

    Args:
        devices: torch devices, `cuda:<index into visible_gpus()>`.
    """
    if devices[0] == "cpu":
        return []
    ids = physical_ids(visible_gpus(), gpu_ids())
    slots = [ids[int(device.removeprefix("cuda:"))] for device in devices]
    held = _held(slots)
    found = [
        warning(NAME, f"{device} is in use by {who}", "the run waits for it, or give other --gpus")
        for device, slot in zip(devices, slots, strict=True)
        if (who := held.get(slot))
    ]
    uses: dict[str, MemoryUse] = {
        device: use
        for device, slot in zip(devices, slots, strict=True)
        if slot not in held and (use := memory_use(slot)) is not None
    }
    return found + [
        warning(NAME, f"{device}: {use}", "stop that program, or give other --gpus")
        for device, use in uses.items()
        if use.is_most
    ]


def unlike(devices: Sequence[Device]) -> list[Finding]:
    """A warning where GPUs are not of one kind: the slowest sets the pace, the smallest the micro-batch."""
    names = dict.fromkeys(device.name for device in devices)
    if len(names) < 2:
        return []
    text = (
        f"{counted(len(devices), 'GPU')} of different kinds ({', '.join(names)}): the slowest sets the pace"
    )
    return [warning(NAME, text, "give those of one kind, such as --gpus 0,1")]


def _held(slots: Sequence[str]) -> dict[str, str]:
    """Who holds which of some slots; nothing is taken, and no folder made."""
    try:
        folder = slots_dir()
        if not (folder / "devices").is_dir():
            return {}
        found = Slots(folder)
        with usable(folder), found.turn():
            return {slot: str(who or "another run") for slot, who in found.held(slots).items()}
    except (Busy, StoreError):  # whoever takes devices says what is wrong with the folder
        return {}
