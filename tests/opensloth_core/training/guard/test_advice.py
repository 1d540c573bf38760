"""What fits, by hand: 10 GB fixed (4 of them saved in 4 bits), 1 GB a 1000 tokens, half when recomputed."""

import pytest

from opensloth_core.training.guard.advice import advice
from opensloth_core.training.guard.footprint import Footprint, ModelShape, Tried

GB = 1e9


def need(tried: Tried) -> float:
    per_token = 0.5e6 if tried.checkpointing else 1e6
    return (6 if tried.quantized else 10) * GB + tried.batch_size * tried.tokens * per_token


def flags(limit_gb: float, tried: Tried, can_quantize: bool = False) -> list[str]:
    """What is advised, without the remarks."""
    return [text.partition(" (")[0] for text in advice(tried, need, limit_gb * GB, can_quantize)]


EIGHT = Tried(batch_size=8, accumulation=2, tokens=1000, checkpointing=False, quantized=False)
"""Needs 18 GB. 0.9 of 20 GB would be enough."""


@pytest.mark.parametrize(
    ("limit_gb", "expected"),
    [
        # 0.9 x 17 = 15.3: 5 do not divide 16, 4 need 14; recomputed, 8 need 14.
        (17, ["--batch-size 4 --gradient-accumulation-steps 4", "--gradient-checkpointing"]),
        # 0.9 x 15 = 13.5: 2 need 12; recomputed, 8 need 14.
        (15, ["--batch-size 2 --gradient-accumulation-steps 8"]),
        # 0.9 x 12 = 10.8: 1 needs 11; recomputed 1 needs 10.5.
        (12, ["--batch-size 1 --gradient-accumulation-steps 16 --gradient-checkpointing"]),
        # 0.9 x 11.5 = 10.35: 1 recomputed of 500 tokens needs 10.25.
        (
            11.5,
            ["--batch-size 1 --gradient-accumulation-steps 16 --gradient-checkpointing --max-seq-length 500"],
        ),
        (10, []),
    ],
)
def test_the_least_that_fits_is_advised(limit_gb: float, expected: list[str]) -> None:
    assert flags(limit_gb, EIGHT) == expected


def test_weights_in_4_bits_are_advised_beside_what_changes_nothing() -> None:
    # 0.9 x 16 = 14.4: 4 need 14, recomputed 8 need 14, in 4 bits 8 need 14.
    assert flags(16, EIGHT, can_quantize=True) == [
        "--batch-size 4 --gradient-accumulation-steps 4",
        "--gradient-checkpointing",
        "--finetuning-type qlora",
    ]
    # 0.9 x 8 = 7.2: only 1 in 4 bits (7).
    only = ["--batch-size 1 --gradient-accumulation-steps 16 --finetuning-type qlora"]
    assert flags(8, EIGHT, can_quantize=True) == only


def test_what_was_tried_already_is_never_advised() -> None:
    least = Tried(batch_size=1, accumulation=16, tokens=1000, checkpointing=True, quantized=True)
    # 6.5 GB are needed; 0.9 x 7 = 6.3 are there: 500 tokens need 6.25.
    assert flags(7, least) == ["--max-seq-length 500"]


def test_advice_says_what_it_costs_and_how_much_it_takes() -> None:
    assert advice(EIGHT, need, 15 * GB, False) == [
        "--batch-size 2 --gradient-accumulation-steps 8 (the same global batch; about 11.2 GiB)"
    ]


def test_the_parts_of_a_footprint_add_up() -> None:
    shape = ModelShape(layers=2, hidden=4, intermediate=8, key_value=2, vocabulary=10)
    footprint = Footprint(
        shape=shape,
        loaded=1000,
        weights=680,
        trained=10,
        bytes_per_number=2,
        optimizer="adamw_torch",
        world_size=2,
    )
    # Gradients of 4 bytes and DDP's copy of them, 8 bytes of AdamW's state.
    assert footprint.fixed_bytes() == 1000 + 10 * 8 + 10 * 8
    # Embedding and head, 2 x 10 x 4 numbers, stay as they are; of the other 520 bytes 0.56 / 2 are left.
    assert footprint.fixed_bytes(quantize=True) == 1160 - round(520 * 0.72)
    tried = Tried(batch_size=3, accumulation=1, tokens=5, checkpointing=False, quantized=False)
    # A layer keeps 6 x 4 + 2 x 2 + 4 x 8 = 60 numbers of a token; 4 bytes for each of 10 logits.
    assert footprint.activation_bytes(tried) == 15 * (2 * 60 * 2 + 40)
    recomputed = Tried(batch_size=3, accumulation=1, tokens=5, checkpointing=True, quantized=False)
    # The input of each layer, and one layer while it is computed again.
    assert footprint.activation_bytes(recomputed) == 15 * ((2 * 4 + 60) * 2 + 40)
