"""Which devices a selection means, within an outer mask and on a machine without a GPU."""

import os

import pytest

from opensloth_core.config.gpus import GpuSelection
from opensloth_core.errors import ConfigError
from opensloth_core.launch.devices import num_shards, resolve_devices, visible_gpus

NUM_CORES = len(os.sched_getaffinity(0))


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hides every GPU, as the machine may have some."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture
def three_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """An outer mask of three GPUs."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")


@pytest.mark.parametrize(
    ("mask", "found"),
    [
        ("", []),
        ("-1", []),
        ("0", ["0"]),
        ("4,5,6", ["4", "5", "6"]),
        (" 4 , 5", ["4", "5"]),
        ("GPU-8932f937-d72c,MIG-41b3", ["GPU-8932f937-d72c", "MIG-41b3"]),
        ("0,-1,1", ["0"]),  # CUDA: only devices before the invalid index are visible
    ],
)
def test_the_outer_mask_is_what_may_be_used(
    mask: str, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", mask)
    assert visible_gpus() == found


@pytest.mark.parametrize(
    ("gpus", "devices"),
    [
        ("auto", ("cuda:0", "cuda:1", "cuda:2")),
        (2, ("cuda:0", "cuda:1")),
        (3, ("cuda:0", "cuda:1", "cuda:2")),
        ((2, 0), ("cuda:2", "cuda:0")),
        ((1,), ("cuda:1",)),
    ],
)
@pytest.mark.usefixtures("three_gpus")
def test_counts_and_ids_select_within_the_mask(gpus: GpuSelection, devices: tuple[str, ...]) -> None:
    assert resolve_devices(gpus) == devices
    assert num_shards(gpus) == len(devices)


def refused(gpus: GpuSelection) -> str:
    with pytest.raises(ConfigError) as caught:
        resolve_devices(gpus)
    return str(caught.value)


@pytest.mark.usefixtures("three_gpus")
def test_more_gpus_than_there_are_is_refused() -> None:
    rest = "this machine has 3 GPUs; give at most 3, or ids below 3"
    assert refused(99) == f"gpus 99: {rest}"
    assert refused((0, 3)) == f"gpus 0,3: {rest}"


def test_one_gpu_is_spoken_of_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    assert refused(2) == "gpus 2: this machine has 1 GPU; give at most 1, or ids below 1"


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_a_count_means_that_many_cpu_processes() -> None:
    assert resolve_devices("auto") == ("cpu",)
    assert resolve_devices(1) == ("cpu",)
    assert resolve_devices(NUM_CORES) == ("cpu",) * NUM_CORES
    assert (num_shards("auto"), num_shards(1), num_shards(NUM_CORES)) == (1, 1, NUM_CORES)


@pytest.mark.usefixtures("no_gpu")
def test_more_cpu_processes_than_cores_is_refused() -> None:
    count = NUM_CORES + 97
    assert refused(count) == (
        f"gpus {count}: no GPU found, and this machine has {NUM_CORES} CPU cores for {count} processes; "
        f"give at most {NUM_CORES}"
    )


@pytest.mark.usefixtures("no_gpu")
def test_device_ids_without_a_gpu_are_refused() -> None:
    assert refused((0, 3)) == "gpus 0,3: no GPU found; give a number of CPU processes, such as 1"


def test_how_many_shards_needs_no_device(no_gpu: None) -> None:
    assert num_shards(99) == 99
    assert num_shards((0, 3)) == 2
