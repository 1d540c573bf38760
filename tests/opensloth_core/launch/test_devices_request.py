"""What a run is told while it asks for devices; GPUs and their memory are made up, slots are real."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from opensloth_core.config.gpus import GpuSelection
from opensloth_core.launch.gpus import GIB, MemoryUse
from opensloth_core.launch.request import Request
from opensloth_core.launch.slots import Slots

ME = f"process {os.getpid()}"
FULL = MemoryUse(61 * GIB, 80 * GIB, (77,))
LITTLE = MemoryUse(1 * GIB, 80 * GIB, (78,))


@dataclass
class Machine:
    """A machine with some GPUs, and what runs were told there."""

    slots: Slots
    num_gpus: int = 2
    memory: dict[str, MemoryUse] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def request(self, name: str, gpus: GpuSelection, sizes: tuple[int, ...] | None = None) -> Request:
        ids = gpus if isinstance(gpus, tuple) else tuple(range(self.num_gpus))
        if sizes is None:
            sizes = tuple(range(len(ids), 0, -1)) if gpus == "auto" else (len(ids),)
        return Request(
            gpus,
            (gpus,) if isinstance(gpus, int) else sizes,
            {f"GPU-{i}": f"cuda:{i}" for i in ids},
            self.slots,
            name,
            lambda text, level: self.said.append(text if level == "info" else f"{level}: {text}"),
            self.memory.get,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(Slots(tmp_path))


def test_two_runs_get_different_gpus_and_nothing_is_said_of_it(machine: Machine) -> None:
    x, y = machine.request("run x", 1), machine.request("run y", 1)
    assert x.is_granted() and y.is_granted()
    assert (x.devices, y.devices) == (("cuda:0",), ("cuda:1",))
    assert machine.said == []


def test_a_run_that_waits_says_once_for_whom_and_then_that_it_goes_on(machine: Machine) -> None:
    x, y = machine.request("run x", 1), machine.request("run y", 2)
    assert x.is_granted() and not y.is_granted() and not y.is_granted()
    assert machine.said == [f"waiting for 1 of 2 GPUs: cuda:0 is used by run x ({ME})"]
    x.end()
    assert y.is_granted() and y.devices == ("cuda:0", "cuda:1")
    assert machine.said[1:] == ["got cuda:0, cuda:1 after 0 s"]


def test_a_run_behind_another_in_the_queue_says_so(machine: Machine) -> None:
    x, y, z = machine.request("run x", (0,)), machine.request("run y", 2), machine.request("run z", (1,))
    assert x.is_granted() and not y.is_granted() and not z.is_granted()
    assert machine.said[1:] == [f"waiting for a GPU: cuda:1 is next for run y ({ME})"]


def test_devices_of_one_holder_are_named_together(machine: Machine) -> None:
    assert machine.request("run x", 2).is_granted()
    assert not machine.request("run y", 1).is_granted()
    assert machine.said == [f"waiting for a GPU: cuda:0 and cuda:1 are used by run x ({ME})"]


def test_ids_are_given_in_the_order_in_which_they_are_named(machine: Machine) -> None:
    machine.num_gpus = 3
    assert (x := machine.request("run x", (2, 0))).is_granted()
    assert x.devices == ("cuda:2", "cuda:0")


def test_auto_takes_what_is_free_and_says_what_is_not(machine: Machine) -> None:
    machine.num_gpus = 3
    assert machine.request("run x", (1,)).is_granted()
    assert (y := machine.request("run y", "auto")).is_granted()
    assert y.devices == ("cuda:0", "cuda:2")
    assert machine.said == [f"taking cuda:0, cuda:2: cuda:1 is used by run x ({ME})"]


def test_auto_takes_no_more_than_can_share_the_batch(machine: Machine) -> None:
    machine.num_gpus = 3
    assert (x := machine.request("run x", "auto", sizes=(2, 1))).is_granted()
    assert x.devices == ("cuda:0", "cuda:1")
    assert machine.said == ["taking cuda:0, cuda:1: more cannot share the global batch"]


def test_auto_leaves_gpus_whose_memory_another_program_has(machine: Machine) -> None:
    machine.memory = {"GPU-0": FULL, "GPU-1": LITTLE}
    assert (x := machine.request("run x", "auto")).is_granted()
    assert x.devices == ("cuda:1",)
    left = "cuda:0 is left to another program (61 of 80 GiB in use by process 77)"
    assert machine.said == [f"taking cuda:1: {left}"]
    assert not machine.request("run y", "auto").is_granted()
    assert machine.said[1:] == [f"waiting for a GPU: {left}; cuda:1 is used by run x ({ME})"]


def test_auto_says_how_to_take_a_gpu_that_only_another_program_has(machine: Machine) -> None:
    machine.num_gpus, machine.memory = 1, {"GPU-0": FULL}
    assert not machine.request("run x", "auto").is_granted()
    assert machine.said == [
        "waiting for a GPU: cuda:0 is left to another program (61 of 80 GiB in use by process 77); "
        "--gpus 0, takes it all the same"
    ]


def test_a_number_avoids_such_gpus_where_it_can(machine: Machine) -> None:
    machine.memory = {"GPU-0": FULL}
    assert (x := machine.request("run x", 1)).is_granted()
    assert (x.devices, machine.said) == (("cuda:1",), [])
    # There are two that nobody else has; one of them is x's, so this one waits.
    machine.num_gpus = 3
    assert not machine.request("run y", 2).is_granted()
    assert machine.said == [f"waiting for 1 of 2 GPUs: cuda:1 is used by run x ({ME})"]


@pytest.mark.parametrize("gpus", [2, (0, 1)])
def test_such_gpus_are_taken_with_a_warning_where_they_are_asked_for(
    machine: Machine, gpus: GpuSelection
) -> None:
    machine.memory = {"GPU-0": FULL}
    assert (x := machine.request("run x", gpus)).is_granted()
    assert x.devices == ("cuda:0", "cuda:1")
    assert machine.said == ["warning: cuda:0: 61 of 80 GiB in use by process 77; memory may run out"]


def test_one_that_leaves_a_gpu_to_another_program_keeps_nobody_from_it(machine: Machine) -> None:
    machine.memory = {"GPU-0": FULL}
    assert machine.request("run x", (1,)).is_granted()
    assert not machine.request("run y", "auto").is_granted()
    assert machine.request("run z", (0,)).is_granted()


def test_who_gives_up_is_out_of_the_queue(machine: Machine) -> None:
    assert machine.request("run x", (0,)).is_granted()
    y = machine.request("run y", 2)
    assert not y.is_granted()
    y.end()
    assert machine.request("run z", (1,)).is_granted()


@pytest.mark.parametrize(
    ("processes", "words"),
    [((7,), "61 of 80 GiB in use by process 7"), ((7, 8), "61 of 80 GiB in use by processes 7, 8")],
)
def test_memory_in_use_names_the_processes(processes: tuple[int, ...], words: str) -> None:
    assert str(MemoryUse(61 * GIB, 80 * GIB, processes)) == words


def test_memory_in_use_by_what_a_container_does_not_show() -> None:
    assert str(MemoryUse(61 * GIB, 80 * GIB)) == "61 of 80 GiB in use by another program"
    assert not MemoryUse(40 * GIB, 80 * GIB).is_most and MemoryUse(40 * GIB + 1, 80 * GIB).is_most
