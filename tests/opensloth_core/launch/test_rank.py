"""What a rank's process finds in its environment."""

import os
from pathlib import Path

import pytest

from opensloth_core.launch.rank import rank_environment
from opensloth_core.runs.directory import Launch


def test_a_cpu_rank_sees_no_gpu_and_gets_its_share_of_the_cores(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    cores = len(os.sched_getaffinity(0))
    assert rank_environment(Launch("m", ("cpu",), "key"), rank=0) == {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "1",
        "LOCAL_WORLD_SIZE": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "GLOO_SOCKET_IFNAME": "lo",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": str(cores),
        "TOKENIZERS_PARALLELISM": "false",
        "TQDM_DISABLE": "1",
        "UNSLOTH_COMPILE_LOCATION": f"{home}/unsloth_compiled_cache/rank-0",
        "UNSLOTH_DISABLE_STATISTICS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert rank_environment(Launch("m", ("cpu",), "key"), rank=0)["OMP_WAIT_POLICY"] == "ACTIVE"


def test_gpu_ranks_see_the_run_s_devices_under_the_outer_mask_s_names(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    launch = Launch("m", ("cuda:0", "cuda:2"), "key")
    environments = [rank_environment(launch, rank) for rank in range(2)]
    assert [env["CUDA_VISIBLE_DEVICES"] for env in environments] == ["4,6", "4,6"]
    assert [env["RANK"] for env in environments] == ["0", "1"]
    assert [env["LOCAL_RANK"] for env in environments] == ["0", "1"]
    assert [env["WORLD_SIZE"] for env in environments] == ["2", "2"]
    locations = [env["UNSLOTH_COMPILE_LOCATION"] for env in environments]
    assert locations == [f"{home}/unsloth_compiled_cache/rank-{rank}" for rank in range(2)]
    assert all("OMP_WAIT_POLICY" not in env for env in environments)


def test_more_ranks_than_cores_get_one_thread_each(home: Path) -> None:
    num_ranks = 3 * len(os.sched_getaffinity(0))
    launch = Launch("m", ("cpu",) * num_ranks, "key")
    assert rank_environment(launch, 0)["OMP_NUM_THREADS"] == "1"
