"""Which devices a selection means, within an outer mask and on a machine without a GPU."""

import os

import pytest

from opensloth_core.config.gpus import GpuSelection
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.launch.devices import num_shards, resolve_devices, visible_gpus, wanted_devices
from opensloth_core.launch.gpus import physical_ids

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


def config(gpus: GpuSelection, **training: int) -> OpenSlothConfig:
    return OpenSlothConfig.of({"data": "d.jsonl", "model": "m", "gpus": gpus, "training": training})


@pytest.mark.parametrize(
    ("gpus", "devices", "sizes"),
    [
        ("auto", ("cuda:0", "cuda:1", "cuda:2"), (3, 2, 1)),
        (2, ("cuda:0", "cuda:1", "cuda:2"), (2,)),  # any two of all
        ((2, 0), ("cuda:2", "cuda:0"), (2,)),
    ],
)
@pytest.mark.usefixtures("three_gpus")
def test_a_run_chooses_from_what_its_selection_allows(
    gpus: GpuSelection, devices: tuple[str, ...], sizes: tuple[int, ...]
) -> None:
    wanted = wanted_devices(config(gpus))
    assert (wanted.devices, wanted.sizes) == (devices, sizes)
    assert wanted.best == devices[: sizes[0]]


@pytest.mark.usefixtures("three_gpus")
def test_auto_means_as_many_as_can_share_the_global_batch() -> None:
    # 8 = 2 x 4 x 1 = 2 x 2 x 2, and no multiple of 2 x 3.
    assert wanted_devices(config("auto", batch_size=2, global_batch_size=8)).sizes == (2, 1)
    with pytest.raises(ConfigError, match="9 is not a multiple of batch_size 2 x 3 GPUs = 6"):
        wanted_devices(config("auto", batch_size=2, global_batch_size=9))
    with pytest.raises(ConfigError, match="8 is not a multiple of batch_size 2 x 3 GPUs = 6"):
        wanted_devices(config(3, batch_size=2, global_batch_size=8))


@pytest.mark.usefixtures("no_gpu")
def test_cpu_slots_bound_how_many_processes_a_run_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENSLOTH_CPU_SLOTS", "1")
    assert wanted_devices(config(1)).devices == ("cpu",)
    assert refused(2) == (
        "gpus 2: OPENSLOTH_CPU_SLOTS=1 is how many CPU processes may train at once; "
        "give at most 1, or raise it"
    )
    monkeypatch.setenv("OPENSLOTH_CPU_SLOTS", "two")
    assert refused(1) == "OPENSLOTH_CPU_SLOTS=two: must be a whole number from 1 up, or not set"


def test_names_of_all_kinds_mean_the_same_physical_gpu() -> None:
    ids = ["GPU-8932f937-d72c", "GPU-89aa0000-1111", "GPU-0c5e3a12-2222"]
    assert physical_ids(["2", "GPU-8932f937-d72c", "GPU-89aa"], ids) == [ids[2], ids[0], ids[1]]
    # A part of a GPU, a beginning of two ids and a number the driver does not know stand for themselves.
    assert physical_ids(["MIG-41b3", "GPU-89", "7"], ids) == ["MIG-41b3", "GPU-89", "gpu-7"]
