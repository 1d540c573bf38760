"""Ranks as plain processes over gloo, with a measure that counts; methods are tested beside."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as multiprocessing
from datasets import Dataset

from opensloth_core.data import throttle
from opensloth_core.training.evaluation.evaluator import Evaluation, Evaluator
from opensloth_core.training.evaluation.measure import Rows


class Lengths:
    """The mean length of units; memory runs out for real at one of `too_long` tokens."""

    names = ("tokens", "units")
    max_units = None

    def __init__(self, too_long: int = 1 << 62) -> None:
        self._too_long = too_long

    def sums(self, rows: Rows) -> dict[str, float]:
        lengths = [len(row["input_ids"]) for row in rows]
        if self._too_long in lengths:
            torch.empty(1 << 60)
        return {"tokens": sum(lengths), "units": len(rows)}

    def metrics(self, sums: Mapping[str, float]) -> dict[str, float]:
        return {"length": sums["tokens"] / sums["units"]}


class Broken(Lengths):
    def sums(self, rows: Rows) -> dict[str, float]:
        raise RuntimeError("shapes do not fit")


def evaluate(lengths: list[int], measure: Lengths, rank: int, world_size: int) -> Evaluation | None:
    units = Dataset.from_dict({"input_ids": [[0] * length for length in lengths]})
    return Evaluator(measure, units, rank, world_size, "cpu").evaluate(torch.nn.Linear(1, 1), batch_size=2)


def run_rank(rank: int, folder: Path) -> None:
    store = torch.distributed.FileStore(str(folder / "store"), 2)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    found = [
        evaluate([4, 1, 9, 2, 4], Lengths(), rank, 2),
        evaluate([6], Lengths(), rank, 2),
        evaluate([4, 1, 9, 2], Lengths(too_long=9), rank, 2),
        evaluate([3, 5], Lengths(), rank, 2),
    ]
    torch.save([None if one is None else (one.metrics, one.num_units) for one in found], folder / f"{rank}")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_ranks_agree_whatever_units_they_have_and_whoever_runs_out_of_memory(tmp_path: Path) -> None:
    multiprocessing.spawn(run_rank, (tmp_path,), nprocs=2)
    for rank in range(2):
        assert torch.load(tmp_path / f"{rank}") == [
            ({"length": 4.0}, 5),
            ({"length": 6.0}, 1),
            None,
            ({"length": 4.0}, 2),
        ]


def test_an_error_that_is_not_about_memory_is_raised() -> None:
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        evaluate([1], Broken(), 0, 1)


def test_slow_evaluations_are_told_by_tokens_longest_units_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "_QUICK_SECONDS", 0.0)
    monkeypatch.setattr(throttle, "_MIN_SECONDS", 0.0)
    reports: list[tuple[str, int, int | None]] = []
    units = Dataset.from_dict({"input_ids": [[0] * length for length in (4, 1, 9, 2, 4)]})
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        Evaluator(Lengths(), units, 0, 1, "cpu").evaluate(
            torch.nn.Linear(1, 1), 2, lambda phase, done, total: reports.append((phase, done, total))
        )
    finally:
        torch.distributed.destroy_process_group()
    assert reports == [("evaluate", 13, 20), ("evaluate", 19, 20), ("evaluate", 20, 20)]
