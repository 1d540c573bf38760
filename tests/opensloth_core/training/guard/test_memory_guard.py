"""What is said when memory runs out, for real: an address space that is too small."""

import resource
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import TrainingError
from opensloth_core.training.guard.memory import MemoryGuard, is_out_of_memory

GIB = 2**30


@pytest.fixture
def little_memory() -> Iterator[None]:
    """An address space with 4 GiB more in it than are in use."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    status = Path("/proc/self/status").read_text()
    used = int(status.split("VmSize:")[1].split()[0]) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (used + 4 * GIB, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def config(**settings: Any) -> OpenSlothConfig:
    return OpenSlothConfig.of({"data": ["d.jsonl"], "model": "m", **settings})


class Model(torch.nn.Module):
    """What memory depends on, of a model."""

    config = SimpleNamespace(
        num_hidden_layers=4,
        hidden_size=128,
        intermediate_size=512,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=1000,
    )

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(1000, 128)

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.embedding


def trainer(batch_size: int, accumulation: int, num_tokens: list[int]) -> Any:
    """What memory depends on, of a trainer."""
    batch = SimpleNamespace(batch_size=batch_size, gradient_accumulation_steps=accumulation)
    job = SimpleNamespace(batch=batch, units={"num_tokens": np.array(num_tokens)})
    args = SimpleNamespace(gradient_checkpointing=False, bf16=False, fp16=False)
    return SimpleNamespace(model=Model(), job=job, args=args, state=SimpleNamespace(global_step=6))


def backward(size_bytes: int) -> torch.Tensor:
    return torch.empty(size_bytes, dtype=torch.uint8)


def test_a_refused_allocation_becomes_a_sentence_with_settings_that_fit(little_memory: None) -> None:
    guard = MemoryGuard(config(), rank=1, world_size=1, device="cpu")
    with pytest.raises(TrainingError) as caught, guard:
        guard.watch(trainer(batch_size=8, accumulation=1, num_tokens=[4096, 100]))
        backward(16 * GIB)
    message = str(caught.value)
    assert message.startswith(
        "out of memory in the backward pass on rank 1 at step 7: 16.0 GiB more were asked for with "
    )
    assert "(the address space that ulimit -v allows)" in message
    assert (
        "It ran sft lora in float32 on micro-batches of 8 packs of up to 4096 tokens, without gradient "
        "checkpointing. What should fit, the least harm first: "
    ) in message
    assert "\n" not in message
    # 16 GiB for 8 packs are 2 for one, of the 4 that there are and of which a tenth is left alone.
    assert "--batch-size 1 --gradient-accumulation-steps 8 (the same global batch; about " in message


def test_a_model_that_cannot_be_loaded_is_told_as_such(little_memory: None) -> None:
    def load_model() -> None:
        torch.empty(GIB * 8, dtype=torch.uint8)

    with pytest.raises(TrainingError) as caught, MemoryGuard(config(), 0, 1, "cpu"):
        load_model()
    assert str(caught.value).startswith("out of memory while the model was loaded on rank 0: 8.0 GiB more")
    assert str(caught.value).endswith("The model does not fit: take a smaller one (README: Batches)")


def test_python_running_out_of_memory_is_told_too(little_memory: None) -> None:
    with pytest.raises(TrainingError) as caught, MemoryGuard(config(), 0, 1, "cpu"):
        bytearray(8 * GIB)
    assert str(caught.value).startswith("out of memory while training was prepared on rank 0: ")


def test_other_errors_pass_through() -> None:
    error = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    with pytest.raises(RuntimeError) as caught, MemoryGuard(config(), 0, 1, "cpu"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_counts_as_a_lack_of_memory(error: Exception, is_memory: bool) -> None:
    assert is_out_of_memory(error) is is_memory
