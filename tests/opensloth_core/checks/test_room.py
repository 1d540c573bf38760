"""Memory and disk: refused where it cannot fit, warned where it is tight; GPUs that are not alike."""

from pathlib import Path
from typing import Any

import pytest

from opensloth_core.checks.devices import unlike
from opensloth_core.checks.disk import check_disk, disk_warnings
from opensloth_core.checks.memory import check_memory, memory_warnings
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.plan.data_facts import DataFacts
from opensloth_core.plan.device import Device
from opensloth_core.plan.disk import DiskEstimate, disk_estimate
from opensloth_core.plan.fit import Fit, find_fit
from opensloth_core.plan.memory import MemoryModel
from opensloth_core.plan.shape import DecoderShape

GIB = 1 << 30
EIGHT_B = {
    "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256, "tie_word_embeddings": False,
}  # fmt: skip
"""Llama 3.1 8B: 8.03 billion weights, 15 GiB in bfloat16."""


def config_of(**changes: Any) -> OpenSlothConfig:
    return OpenSlothConfig.of({"data": "d", "model": "llama-8b", **changes})


def fit_on(gigabytes: int, facts: DataFacts | None = None, **changes: Any) -> tuple[OpenSlothConfig, Fit]:
    config, devices = config_of(**changes), (Device("GPU", gigabytes * GIB),)
    shape = DecoderShape.of(EIGHT_B)
    assert shape is not None and shape.weights == 8_030_261_248
    model = MemoryModel(config, shape, 1, True, gigabytes * GIB)
    return config, find_fit(config, model, devices, facts)


def test_eight_billion_weights_do_not_fit_into_12_gib_and_the_way_out_is_named() -> None:
    config, fit = fit_on(12)
    with pytest.raises(ConfigError) as caught:
        check_memory(config, fit, on_gpu=True)
    message = str(caught.value)
    # 41,943,040 weights of an adapter of 16 bytes each, beside 8,030,261,248 of 2.
    assert message == (
        "model llama-8b: lora needs about 15.6 GiB of a GPU's memory before the first example (weights "
        "15.0 GiB, optimizer 0.3 GiB, adapter 0.2 GiB), and there are 12.0 GiB; give preset memory-saver "
        "(qlora); or take a smaller model (README: Batches)"
    )
    assert memory_warnings(config, fit, on_gpu=True) == []


@pytest.mark.parametrize(
    ("gigabytes", "changes"),
    [(12, {"finetuning_type": "qlora"}), (24, {}), (80, {"finetuning_type": "full"})],
)
def test_what_fits_by_recomputing_is_neither_refused_nor_warned_of(
    gigabytes: int, changes: dict[str, Any]
) -> None:
    config, fit = fit_on(gigabytes, **changes)
    check_memory(config, fit, on_gpu=True)
    assert memory_warnings(config, fit, on_gpu=True) == []


def test_a_batch_that_is_given_and_too_large_is_warned_of_and_not_refused() -> None:
    training = {"batch_size": 16, "gradient_checkpointing": False}
    config, fit = fit_on(80, training=training)
    (warning,) = memory_warnings(config, fit, on_gpu=True)
    assert "in micro-batches of 16, more than 85%: memory may run out" in warning.text
    assert warning.remedy is not None
    assert warning.remedy.startswith("drop gradient_checkpointing false; or lower batch_size; or ")


def test_the_micro_batch_shrinks_with_the_device_and_the_step_stays() -> None:
    facts = DataFacts(True, 10**6, 10**6, 10**9, 10**9, 500_000, 2048)
    fits = {gigabytes: fit_on(gigabytes, facts)[1] for gigabytes in (24, 40, 140)}
    assert [fit.batch.batch_size for fit in fits.values()] == sorted(
        f.batch.batch_size for f in fits.values()
    )
    assert fits[24].batch.batch_size < fits[140].batch.batch_size
    assert {fit.batch.global_batch_size for fit in fits.values()} == {16}
    assert all(not fit.is_tight for fit in fits.values())
    assert fits[24].recomputes


def test_disk(home: Path) -> None:
    config, _ = fit_on(80, finetuning_type="full")
    shape = DecoderShape.of(EIGHT_B)
    assert shape is not None
    facts = DataFacts(False, 10, 10, 1000, 500, 1, 1000)
    disk = disk_estimate(config, MemoryModel(config, shape, 1, True), facts, is_cached=False, num_steps=250)
    # 13 bytes a token; two checkpoints of weights and two numbers of state each, of 2 bytes.
    assert (disk.prepared, disk.checkpoints) == (13_000, 2 * 3 * 2 * 8_030_261_248)
    assert disk.result == 2 * 8_030_261_248

    with pytest.raises(ConfigError, match=r"1\.0 GB are free, and the result alone takes 16 GB; make room"):
        check_disk(DiskEstimate(0, 0, disk.result, free=10**9))
    tight = DiskEstimate(10**9, 10**9, 10**9, free=2 * 10**9)
    check_disk(tight)
    (warning,) = disk_warnings(tight)
    assert warning.text == f"about 3.0 GB are written to {home}, where 2.0 GB are free"


def test_gpus_of_two_kinds() -> None:
    assert unlike([Device("A", 1), Device("A", 1)]) == []
    (warning,) = unlike([Device("A", 1), Device("B", 1)])
    assert warning.text == "2 GPUs of different kinds (A, B): the slowest sets the pace"
