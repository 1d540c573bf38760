"""What the self-test trains on, and where."""

import json
import os
from pathlib import Path

import pytest

from opensloth_core.errors import ConfigError
from opensloth_core.selftest.data import Method, write_examples
from opensloth_core.selftest.parity import num_ranks, temporary_home


@pytest.mark.parametrize(("method", "column"), [("sft", "answer"), ("dpo", "chosen"), ("dpo", "rejected")])
def test_examples_are_uneven_and_the_same_every_time(tmp_path: Path, method: Method, column: str) -> None:
    first = write_examples(tmp_path / "a.jsonl", method, 40)
    again = write_examples(tmp_path / "b.jsonl", method, 40)
    assert first.read_text() == again.read_text()
    lengths = [len(json.loads(line)[column]) for line in first.read_text().splitlines()]
    assert len(lengths) == 40
    assert max(lengths) > 4 * min(lengths)


def test_the_home_of_the_self_test_is_gone_afterwards_and_the_environment_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENSLOTH_HOME", "/the/users/own")
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)
    with pytest.raises(KeyboardInterrupt), temporary_home() as home:
        assert os.environ["OPENSLOTH_HOME"] == str(home)
        assert os.environ["NVIDIA_TF32_OVERRIDE"] == "0"
        (home / "store").mkdir()
        raise KeyboardInterrupt
    assert not home.exists()
    assert os.environ["OPENSLOTH_HOME"] == "/the/users/own"
    assert "NVIDIA_TF32_OVERRIDE" not in os.environ


def test_without_a_gpu_two_processes_are_compared_where_there_are_two_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    cores = len(os.sched_getaffinity(0))
    assert num_ranks(None) == min(2, cores)
    assert num_ranks(1) == 1
    with pytest.raises(ConfigError, match="no GPU found, and this machine has"):
        num_ranks(cores + 1)


def test_all_gpus_are_compared_unless_fewer_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    assert num_ranks(None) == 4
    assert num_ranks(2) == 2
