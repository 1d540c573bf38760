"""The size of a micro-batch found by trying; peaks lie on a line, as they do on devices."""

import math

import pytest

from opensloth_core.config.batch import BatchPlan
from opensloth_core.plan.step_units import batch_of_size, default_units
from opensloth_core.training.device_memory import DeviceMemory
from opensloth_core.training.micro_batch import Probe, largest_batch


class Device:
    """A device on which `fixed` of the memory is always in use, and `per_unit` more for each unit."""

    def __init__(
        self, fixed: float, per_unit: float, seconds_per_unit: float = 0.0, bend: int = 10**9
    ) -> None:
        self._line, self._seconds, self._bend = (fixed, per_unit), seconds_per_unit, bend
        self.tried: list[int] = []

    def __call__(self, size: int) -> Probe:
        self.tried.append(size)
        fixed, per_unit = self._line
        share = fixed + per_unit * size * (2 if size > self._bend else 1)
        return Probe(size, share if share <= 1 else math.inf, size * self._seconds)


def test_the_largest_size_under_the_limit_is_found() -> None:
    # 0.24 + 0.02 * 30 = 0.84; 8 is 0.40, 16 is 0.56, 32 is 0.88, which is too much.
    device = Device(0.24, 0.02)
    assert largest_batch(device, most=1000) == 30
    assert device.tried == [1, 2, 4, 8, 16, 32, 30]


def test_no_more_is_tried_than_a_step_has() -> None:
    device = Device(0.1, 0.001)
    assert largest_batch(device, most=12) == 12
    assert device.tried == [1, 2, 4, 8, 12]


def test_nothing_fits() -> None:
    assert largest_batch(Device(0.2, 0.7), most=4) == 0


def test_only_one_fits() -> None:
    # Two would be 0.9: no line to draw yet, and nothing between.
    device = Device(0.1, 0.4)
    assert largest_batch(device, most=4) == 1
    assert device.tried == [1, 2]


def test_a_line_that_bends_is_noticed_by_trying() -> None:
    # 8 takes 0.42 and 16, on the bend, 1.38; the line says 18, so 15 is tried, and fails.
    device = Device(0.1, 0.04, bend=9)
    assert largest_batch(device, most=64) == 9
    assert device.tried == [1, 2, 4, 8, 16, 15, 13, 11, 9]


def test_a_slow_device_is_busy_enough() -> None:
    device = Device(0.0, 0.001, seconds_per_unit=2.0)
    assert largest_batch(device, most=64) == 4
    assert device.tried == [1, 2, 4, 4]


def test_what_takes_long_once_is_not_slow() -> None:
    device = Device(0.0, 0.001)

    def loads_kernels_first(size: int) -> Probe:
        tried = device(size)
        return Probe(size, tried.share, 9.0 if device.tried.count(size) == 1 and size in (1, 8) else 0.1)

    assert largest_batch(loads_kernels_first, most=16) == 16
    assert device.tried == [1, 1, 2, 4, 8, 8, 16]


def test_a_search_begins_where_it_is_told_to() -> None:
    device = Device(0.24, 0.02)
    assert largest_batch(device, most=1000, first=4) == 30
    assert device.tried == [4, 8, 16, 32, 30]


def test_a_beginning_that_does_not_fit_is_no_reason_to_give_up() -> None:
    device = Device(0.1, 0.1)
    assert largest_batch(device, most=64, first=32) == 7
    assert device.tried[:2] == [32, 1]


@pytest.mark.parametrize(
    ("most", "per_rank", "expected"),
    [(30, 64, BatchPlan(16, 4, 2)), (64, 64, BatchPlan(64, 1, 2)), (5, 7, BatchPlan(1, 7, 2))],
)
def test_the_step_keeps_its_size(most: int, per_rank: int, expected: BatchPlan) -> None:
    assert batch_of_size(most, per_rank, world_size=2) == expected


def test_the_peak_of_this_process_is_seen_and_forgotten() -> None:
    memory = DeviceMemory("cpu", world_size=1)
    memory.reset_peak()
    before = memory.peak_bytes()
    held = bytearray(200 << 20)
    assert memory.peak_bytes() - before > 190 << 20
    del held
    memory.reset_peak()
    assert memory.peak_bytes() < before + (50 << 20)
    assert 0 < before < memory.limit_bytes
    assert DeviceMemory("cpu", world_size=4).limit_bytes < memory.limit_bytes


@pytest.mark.parametrize(
    ("num_units", "epochs", "max_steps", "world_size", "units"),
    [
        (8000, 1.0, None, 1, 16),  # 500 steps
        (8000, 1.0, None, 8, 16),  # 62 steps
        (600, 1.0, None, 1, 8),  # 12 would make 50 steps; 8 is the power of two below
        (600, 3.0, None, 1, 16),  # 112 steps over three passes
        (600, 1.0, None, 2, 4),  # 75 steps
        (20, 1.0, None, 1, 2),
        (20, 1.0, 1000, 1, 16),  # steps were counted: they are what they are
        (5, 1.0, 1000, 1, 4),
    ],
)
def test_little_data_makes_small_steps(
    num_units: int, epochs: float, max_steps: int | None, world_size: int, units: int
) -> None:
    assert default_units(num_units, epochs, max_steps, world_size) == units
