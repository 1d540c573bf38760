"""Advantages and loss, worked by hand."""

import math

import pytest
import torch

from opensloth_core.data.units import IGNORE_INDEX
from opensloth_core.training.grpo.loss import CompletionBatch, completion_batch, group_advantages, summed_loss


def batch_of(advantages: list[float | None], sampler: list[list[float]] | None = None) -> CompletionBatch:
    """Two prompts of two tokens and of one, with completions of one token and of three."""
    return completion_batch([[5, 6], [7]], [[8], [9, 10, 11]], advantages, sampler, "cpu")


def test_advantages_are_distances_from_the_groups_mean_in_standard_deviations() -> None:
    # The mean is 0.25; the deviations 0.75, -0.25 (3 times) give a std of sqrt(0.75 / 3) = 0.5.
    assert group_advantages([1, 0, 0, 0, 2, 4, 6, 8], 4)[:4] == pytest.approx(
        [0.75 / 0.5001, -0.25 / 0.5001, -0.25 / 0.5001, -0.25 / 0.5001]
    )


def test_each_group_is_compared_with_itself_alone() -> None:
    assert group_advantages([1, 0, 100, 100], 2) == [
        pytest.approx(0.7070, abs=1e-4),
        pytest.approx(-0.7070, abs=1e-4),
        0,
        0,
    ]


def test_a_group_of_equal_rewards_has_no_advantages_at_all() -> None:
    # 0.1 added up eight times is not 0.8, so the mean is not 0.1.
    assert group_advantages([0.1] * 8, 8) == [0.0] * 8


def test_a_completion_without_a_reward_is_no_part_of_its_group_and_has_no_advantage() -> None:
    assert group_advantages([1, None, 0, None, None, None, 2, None, None], 3) == [
        pytest.approx(0.7070, abs=1e-4),
        None,
        pytest.approx(-0.7070, abs=1e-4),
        None,
        None,
        None,
        0,
        None,
        None,
    ]


def test_a_completion_without_a_reward_counts_for_nothing_in_loss_and_kl() -> None:
    log_probs = torch.full((2, 3), -2.0, requires_grad=True)
    loss, kl = summed_loss(log_probs, batch_of([1.5, None]), torch.full((2, 3), -1.0), 0.5)
    # Of the second row's three tokens neither the advantage nor the KL of e - 2 a token counts.
    assert loss.item() == pytest.approx(-(1.5 - 0.5 * (math.e - 2)))
    assert kl.item() == pytest.approx(math.e - 2)
    loss.backward()
    assert log_probs.grad is not None
    assert log_probs.grad[1].tolist() == [0, 0, 0]


def test_rows_are_padded_on_the_right_and_only_completions_are_labels() -> None:
    batch = batch_of([1.0, 2.0])
    assert batch.input_ids_BT.tolist() == [[5, 6, 8, 0], [7, 9, 10, 11]]
    assert batch.attention_mask_BT.tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    ignored = IGNORE_INDEX
    assert batch.labels_BT.tolist() == [[ignored, ignored, 8, ignored], [ignored, 9, 10, 11]]
    assert batch.mask_BT.tolist() == [[0, 1, 0], [1, 1, 1]]


def test_the_loss_is_the_advantage_of_every_token_and_its_gradient_too() -> None:
    log_probs = torch.full((2, 3), -2.0, requires_grad=True)
    loss, kl = summed_loss(log_probs, batch_of([1.5, -0.5]), None, 0.0)
    assert loss.item() == pytest.approx(-(1.5 * 1 - 0.5 * 3))
    assert kl.item() == 0
    loss.backward()
    assert log_probs.grad is not None
    assert log_probs.grad.tolist() == [[0, -1.5, 0], [0.5, 0.5, 0.5]]


def test_without_advantages_nothing_pulls_at_the_policy() -> None:
    log_probs = torch.full((2, 3), -2.0, requires_grad=True)
    summed_loss(log_probs, batch_of([0.0, 0.0]), None, 0.0)[0].backward()
    assert log_probs.grad is not None
    assert not log_probs.grad.any()


def test_kl_is_that_of_the_reference_with_the_gradient_of_the_reverse_kl() -> None:
    log_probs = torch.full((2, 3), -2.0, requires_grad=True)
    reference = torch.full((2, 3), -1.0)
    loss, kl = summed_loss(log_probs, batch_of([0.0, 0.0]), reference, 0.1)
    one_token = math.e - 1 - 1  # exp(d) - d - 1 with d = -1 + 2
    assert kl.item() == pytest.approx(4 * one_token)
    assert loss.item() == pytest.approx(0.1 * 4 * one_token)
    loss.backward()
    assert log_probs.grad is not None
    # d/dx of ratio * (exp(d) - d - 1): the value itself, and 1 - exp(d).
    assert log_probs.grad[1].tolist() == pytest.approx([0.1 * (one_token + 1 - math.e)] * 3, rel=1e-5)
    assert log_probs.grad[0, 0] == 0


def test_tokens_of_another_sampler_count_by_how_likely_the_policy_finds_them() -> None:
    # exp(-2 + 3) = 2.7 is cut to 2; exp(-2 + 1) = 0.37 stays.
    batch = batch_of([1.0, 1.0], [[-3.0], [-1.0, -2.0, -2.0]])
    loss, _ = summed_loss(torch.full((2, 3), -2.0), batch, None, 0.0)
    assert loss.item() == pytest.approx(-(2.0 + math.exp(-1) + 1 + 1))
