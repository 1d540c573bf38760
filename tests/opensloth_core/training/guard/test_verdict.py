"""The sentence about a step whose numbers are not finite, from findings written by hand."""

from pathlib import Path
from typing import Any

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.training.guard.findings import Finding
from opensloth_core.training.guard.suspects import Examined
from opensloth_core.training.guard.verdict import verdict

NAN, INF = float("nan"), float("inf")


def said(tmp_path: Path, *findings: Finding, step: int = 7, **settings: Any) -> str:
    config = OpenSlothConfig.of({"data": ["d.jsonl"], "model": "m", **settings})
    return verdict(step, NAN, findings, config, RunDirectory(tmp_path))


def examined(micro_batch: int, num_rows: int, *culprits: str, loss: float = NAN) -> Examined:
    return Examined(micro_batch, loss, num_rows, culprits, ("d.jsonl:1 “a”", "d.jsonl:2 “b”"))


def test_the_rows_at_fault_are_named_with_their_micro_batch_and_rank(tmp_path: Path) -> None:
    finite = Finding(0, (0.5, 0.25), ())
    bad = Finding(1, (0.5, NAN), (examined(2, 9, "d.jsonl:31 “x”"),))
    assert said(tmp_path, finite, bad) == (
        "the loss became nan at step 7 in micro-batch 2 of rank 1 through 1 of 9 rows: d.jsonl:31 “x”; every "
        "other row is finite, so look at these or leave them out. Nothing was saved"
    )


def test_five_rows_are_named_and_the_others_counted(tmp_path: Path) -> None:
    rows = [f"d.jsonl:{line}" for line in range(1, 8)]
    message = said(tmp_path, Finding(0, (NAN,), (examined(1, 9, *rows),)))
    assert (
        "through 7 of 9 rows: d.jsonl:1; d.jsonl:2; d.jsonl:3; d.jsonl:4; d.jsonl:5; and 2 more; every"
        in message
    )


def test_when_every_row_of_every_rank_is_bad_the_weights_are_at_fault(tmp_path: Path) -> None:
    both = [Finding(rank, (INF,), (examined(1, 2, "a", "b", loss=INF),)) for rank in (0, 1)]
    message = said(tmp_path, *both, training={"learning_rate": 30.0})
    assert message.startswith(
        "the loss became inf at step 7 through every one of its 4 rows, so the weights are at fault and not "
        "the data: lower --lr (now 30) or raise --warmup-ratio. "
    )
    # Before the first update they are those of the model.
    message = said(tmp_path, *both, step=1)
    assert "before anything was trained, through every one of its 4 rows: the model is damaged" in message
    assert "or --dtype float32" in message
    assert "float32" not in said(tmp_path, *both, step=1, dtype="float32")


def test_bad_rows_are_at_fault_while_another_rank_is_finite_even_if_they_are_all_of_a_micro_batch(
    tmp_path: Path,
) -> None:
    message = said(tmp_path, Finding(0, (0.5,), ()), Finding(1, (NAN,), (examined(1, 1, "d.jsonl:3"),)))
    assert "in micro-batch 1 of rank 1 through 1 of 1 rows: d.jsonl:3" in message


def test_rows_that_are_finite_alone_are_said_to_be(tmp_path: Path) -> None:
    message = said(tmp_path, Finding(0, (NAN, 0.5), (examined(1, 2),)))
    assert "though each of its 2 rows is finite alone (the first: d.jsonl:1 “a”; d.jsonl:2 “b”)" in message


def test_a_gradient_that_overflows_is_told_with_the_losses(tmp_path: Path) -> None:
    message = said(tmp_path, Finding(0, (0.5, 8.0), ()), Finding(1, (2.0, 3.0), ()))
    assert message.startswith(
        "the gradient norm became nan at step 7 while every loss was finite (0.5 to 8), so numbers "
        "overflowed on the way back: lower --lr (now 0.0002) or raise --warmup-ratio, or --dtype float32. "
    )
