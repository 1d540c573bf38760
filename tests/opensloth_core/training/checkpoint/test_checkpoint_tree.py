import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from opensloth_core.training.checkpoint import tree as tree_module
from opensloth_core.training.checkpoint.random_state import random_state, restore_random_state
from opensloth_core.training.checkpoint.tree import read_tree, write_tree


def test_a_tree_comes_back_with_its_types(tmp_path: Path) -> None:
    shared = torch.arange(6.0)
    tree = {
        "state": {0: {"step": torch.tensor(3.0), "shared": shared}, 1: {"shared": shared}},
        "part of another": shared[2:4],
        "betas": (0.9, 0.999),
        "numbers": [1, 0.1, math.pi, math.inf, True, None, "text", np.float64(0.3)],
        "keys": np.arange(3, dtype=np.uint32),
        "bytes": torch.tensor([1, 255], dtype=torch.uint8),
        "brain": torch.tensor([1.5], dtype=torch.bfloat16),
        "$tensor": "a plain string under an odd name",
    }
    records = write_tree(tmp_path, "part", tree)
    assert set(records) == {"part.json", "part-00001.safetensors"} == {p.name for p in tmp_path.iterdir()}
    read = read_tree(tmp_path, "part")
    assert read["state"][1]["shared"].tolist() == [0, 1, 2, 3, 4, 5]
    assert read["state"][0]["step"].shape == ()
    assert read["part of another"].tolist() == [2, 3]
    assert read["betas"] == (0.9, 0.999)
    assert read["numbers"] == tree["numbers"]
    assert read["keys"].dtype == np.uint32 and read["keys"].tolist() == [0, 1, 2]
    assert read["bytes"].dtype == torch.uint8
    assert read["brain"].dtype == torch.bfloat16
    assert read["$tensor"] == tree["$tensor"]


def test_what_only_pickle_could_write_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"extra\.callback: a checkpoint holds no function"):
        write_tree(tmp_path, "extra", {"callback": test_a_tree_comes_back_with_its_types})
    assert not list(tmp_path.iterdir())


def test_many_tensors_go_into_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_module, "FILE_BYTES", 1000)
    tree = {f"w{i}": torch.full((100,), float(i)) for i in range(5)}  # 400 bytes each: two a file
    records = write_tree(tmp_path, "weights", tree)
    assert sorted(records) == [f"weights-0000{i}.safetensors" for i in (1, 2, 3)] + ["weights.json"]
    read = read_tree(tmp_path, "weights")
    assert all(torch.equal(read[name], tree[name]) for name in tree)


def test_random_numbers_go_on_where_they_were(tmp_path: Path) -> None:
    random.gauss(0, 1)  # leaves a second number for the next call, which belongs to the state
    write_tree(tmp_path, "rank-0", random_state("cpu"))
    expected = [random.gauss(0, 1), np.random.standard_normal(), torch.rand(1).item()]
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(5)
    restore_random_state(read_tree(tmp_path, "rank-0"), "cpu")
    assert [random.gauss(0, 1), np.random.standard_normal(), torch.rand(1).item()] == expected


def test_nothing_in_a_checkpoint_is_pickled(tmp_path: Path) -> None:
    write_tree(tmp_path, "rank-0", {"random": random_state("cpu"), "extra": {"seen": [1, 2]}})
    for path in tmp_path.iterdir():
        content = path.read_bytes()
        if path.suffix == ".json":
            json.loads(content)
        else:
            assert path.suffix == ".safetensors"
            json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
