"""Devices and batches that this machine cannot have."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.preflight import refuse_impossible

NUM_CORES = len(os.sched_getaffinity(0))
Refused = Callable[..., str]


def test_more_processes_than_cores(refused: Refused) -> None:
    count = NUM_CORES + 97
    assert refused(ConfigError, gpus=count) == (
        f"gpus {count}: no GPU found, and this machine has {NUM_CORES} CPU cores for {count} processes; "
        f"give at most {NUM_CORES}"
    )


def test_more_gpus_than_the_machine_has(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert refused(ConfigError, gpus=99) == (
        "gpus 99: this machine has 2 GPUs; give at most 2, or ids below 2"
    )


def test_device_ids_without_a_gpu(refused: Refused) -> None:
    assert refused(ConfigError, gpus="0,3") == (
        "gpus 0,3: no GPU found; give a number of CPU processes, such as 1"
    )


def test_a_global_batch_the_gpus_cannot_share(refused: Refused) -> None:
    assert refused(ConfigError, training={"batch_size": 4, "global_batch_size": 6}) == (
        "global_batch_size 6 is not a multiple of batch_size 4 x 1 GPUs = 4; change one of the three"
    )


def test_qlora_without_a_gpu(refused: Refused) -> None:
    assert refused(ConfigError, finetuning_type="qlora") == (
        "finetuning_type qlora: 4-bit training needs a GPU; use lora"
    )


def test_an_optimizer_of_8_bits_without_a_gpu(refused: Refused) -> None:
    assert refused(ConfigError, training={"optimizer": "adamw_8bit"}) == (
        "optimizer adamw_8bit: needs a GPU; use adamw_torch"
    )


def test_what_needs_a_gpu_passes_where_there_is_one(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    config = {**values, "finetuning_type": "qlora", "training": {"optimizer": "adamw_8bit"}}
    assert refuse_impossible(OpenSlothConfig.of(config)) == ("cuda:0",)
