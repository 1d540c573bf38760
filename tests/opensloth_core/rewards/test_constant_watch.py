"""A reward that stays the same over the first steps stops the run with an explanation."""

import json

import pytest

from opensloth_core.errors import TrainingError
from opensloth_core.rewards.constant import ConstantRewardWatch


def watch_of(group_size: int = 2, patience: int = 10) -> ConstantRewardWatch:
    return ConstantRewardWatch(group_size, patience)


def feed_constant(watch: ConstantRewardWatch, steps: int, value: float = 0.0) -> None:
    for _ in range(steps):
        watch.feed([value] * 4)


def test_ten_constant_steps_stop_the_run() -> None:
    watch = watch_of()
    feed_constant(watch, 9)
    with pytest.raises(TrainingError, match="the reward was 0 for every completion of the first 10 steps"):
        watch.feed([0.0] * 4)


def test_one_reward_that_differs_ends_the_watch() -> None:
    watch = watch_of()
    feed_constant(watch, 9)
    watch.feed([0.0, 0.0, 0.0, 1.0])
    feed_constant(watch, 50)


def test_rewards_that_differ_between_prompts_alone_teach_nothing() -> None:
    watch = watch_of(patience=2)
    watch.feed([0.0, 0.0, 0.5, 0.5], {"length": [0.0, 0.0, 0.5, 0.5]})
    with pytest.raises(TrainingError) as caught:
        watch.feed([1.0, 1.0, 0.0, 0.0], {"length": [1.0, 1.0, 0.0, 0.0]})
    assert str(caught.value) == (
        "each prompt's completions were all rewarded alike (0 to 1) in the first 2 steps, so there is "
        "nothing to learn from (length: 0 to 1). A reward has to depend on the completion, not on the prompt "
        "alone. A higher temperature or more generations a prompt give rewards a chance to differ. "
        "(README: Rewards)"
    )


def test_a_reward_that_never_differed_beside_one_that_did_is_named_once() -> None:
    watch = watch_of(patience=3)
    scores = {"format": [0.0, 0.0, 0.0, 0.0], "length": [0.1, 0.1, 0.2, 0.3], "late": [1.0, 1.0, 0.5, None]}
    assert watch.feed([0.1, 0.1, 0.2, 0.3], scores) == []
    assert watch.feed([0.1, 0.1, 0.2, 0.3], scores) == []
    late = {"late": [0.0, 0.1, 0.0, 0.0], "code": [None] * 4}
    assert watch.feed([0.0, 0.0, 0.0, 0.0], {**scores, **late}) == [
        "the reward format was the same for all completions of each prompt in the first 3 steps (format: "
        "always 0), so nothing is learnt from it. The format was never met: describe it in the system "
        "prompt. (README: Rewards)",
        "the reward code was the same for all completions of each prompt in the first 3 steps (code: applied "
        "to no row), so nothing is learnt from it. Check its column, and a few completions. (README: "
        "Rewards)",
    ]
    assert watch.feed([0.0, 0.0, 0.0, 0.0], scores) == []


def test_a_watch_goes_on_from_a_checkpoint_that_did_not_tell_prompts_apart() -> None:
    old = {
        "num_steps": 2, "is_over": False, "value": 0.0, "spread": {"math": [0.0, 0.0], "length": [0.0, 1.0]},
        "num_unfinished": 0, "num_completions": 4,
    }  # fmt: skip
    watch = watch_of(patience=3)
    watch.restore(old)
    with pytest.raises(TrainingError, match=r"the reward was 0 for every completion of the first 3 steps"):
        feed_constant(watch, 1)
    watch.restore(old)
    (warning,) = watch.feed([0.0, 1.0], {"math": [0.0, 0.0], "length": [1.0, 1.0]})
    assert warning.startswith("the reward math ")


def test_rounding_is_no_difference() -> None:
    watch = watch_of(patience=2)
    watch.feed([0.1 + 0.2, 0.3])
    with pytest.raises(TrainingError, match=r"the reward was 0\.3 for every"):
        watch.feed([0.3])


def test_a_step_without_rewards_does_not_count() -> None:
    watch = watch_of(patience=2)
    feed_constant(watch, 1)
    watch.feed([])
    with pytest.raises(TrainingError, match="first 2 steps"):
        feed_constant(watch, 1)


def test_steps_that_no_reward_applied_to_stop_the_run() -> None:
    watch = watch_of(patience=2)
    watch.feed([None, None], {"math": [None, None]}, [True, False])
    with pytest.raises(TrainingError) as caught:
        watch.feed([None, None], {"math": [None, None]}, [True, False])
    assert str(caught.value) == (
        "no reward applied to any completion of the first 2 steps, so there is nothing to learn from "
        "(math: applied to no row). Check that rows hold what the rewards read, or add a reward that reads "
        "nothing. (README: Rewards)"
    )


def test_a_completion_without_a_reward_is_no_difference() -> None:
    watch = watch_of(patience=2)
    watch.feed([None, 0.5])
    with pytest.raises(TrainingError, match=r"the reward was 0\.5 for every"):
        watch.feed([0.5, None])


def test_the_explanation_names_each_reward_and_what_to_do() -> None:
    watch = watch_of(patience=2)
    scores = {"math": [0.0, 0.0], "format": [0.0, None], "length": [0.25, 0.5], "code": [None, None]}
    watch.feed([0.0, 0.0], scores, [False, False])
    with pytest.raises(TrainingError) as caught:
        watch.feed([0.0, 0.0], scores, [False, True])
    assert str(caught.value) == (
        "the reward was 0 for every completion of the first 2 steps, so there is nothing to learn from "
        "(math: always 0; format: always 0; length: 0.25 to 0.5; code: applied to no row). "
        "75% of the completions were cut at the token limit: raise max_completion_length, or ask for "
        "shorter answers. Check that the column that math reads holds the right answers or tests. "
        "The format was never met: describe it in the system prompt. "
        "A higher temperature or more generations a prompt give rewards a chance to differ. (README: Rewards)"
    )


def test_what_is_solved_already_is_said() -> None:
    watch = watch_of(patience=1)
    with pytest.raises(TrainingError, match="Everything is solved already: take harder data"):
        watch.feed([1.0, 1.0], {"math": [1.0, 1.0]}, [True, True])


def test_without_details_it_still_says_where_to_look() -> None:
    with pytest.raises(TrainingError, match="Check the rewards' columns, the limit on the completions"):
        feed_constant(watch_of(patience=1), 1, value=0.5)


def test_a_resumed_watch_goes_on_the_same() -> None:
    whole, first = watch_of(patience=4), watch_of(patience=4)
    for watch in (whole, first):
        watch.feed([0.0], {"math": [0.0]}, [False])
        watch.feed([0.0], {"math": [0.0]}, [True])
    second = watch_of(patience=4)
    second.restore(json.loads(json.dumps(first.state())))
    messages = []
    for watch in (whole, second):
        feed_constant(watch, 1)
        with pytest.raises(TrainingError) as caught:
            feed_constant(watch, 1)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert "math: always 0" in messages[0]


def test_a_resumed_watch_that_was_over_stays_over() -> None:
    watch = watch_of(patience=2)
    watch.feed([0.0, 1.0])
    resumed = watch_of(patience=2)
    resumed.restore(json.loads(json.dumps(watch.state())))
    feed_constant(resumed, 20)


def test_a_run_that_is_shorter_than_the_watch_is_told_at_its_end() -> None:
    watch = ConstantRewardWatch(2, patience=10, num_steps=3)
    feed_constant(watch, 2)
    (words,) = watch.feed([0.0] * 4)
    assert words.startswith("the reward was 0 for every completion of the first 3 steps, so there is nothing")
