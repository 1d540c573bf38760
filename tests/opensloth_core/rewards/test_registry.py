"""Finding rewards by name, adding them up, and the columns they need."""

import json
import subprocess
import sys

import pytest

from opensloth_core.errors import ConfigError
from opensloth_core.rewards.completions import Completions
from opensloth_core.rewards.registry import REWARDS, Reward, check_columns, find_reward
from opensloth_core.rewards.score import weighted_rewards
from tests.opensloth_core.rewards.made_completions import completions_of


def fixed(name: str, *scores: float | None) -> Reward:
    return Reward(name, lambda completions: list(scores), (), "fixed")


def test_the_built_in_rewards_are_found_by_name() -> None:
    assert list(REWARDS) == ["math", "format", "length", "exact", "code"]
    for name, reward in REWARDS.items():
        assert find_reward(name) is reward
        assert reward.name == name
        assert reward.description


@pytest.mark.parametrize(("name", "meant"), [("maths", "math"), ("Format", "format"), ("lenght", "length")])
def test_a_misspelt_reward_is_corrected(name: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"reward {name}: no such reward; did you mean {meant}?"):
        find_reward(name)


def test_an_unknown_reward_lists_those_there_are() -> None:
    with pytest.raises(ConfigError) as caught:
        find_reward("zzz")
    assert str(caught.value) == (
        "reward zzz: no such reward. There are: math, format, length, exact, code; "
        "your own is named package.module:function"
    )


def test_a_reward_s_columns_are_checked() -> None:
    check_columns(REWARDS["math"], ["question", "ground_truth"])
    check_columns(REWARDS["format"], [])
    with pytest.raises(ConfigError) as caught:
        check_columns(REWARDS["code"], {"solution", "level"})
    assert str(caught.value) == (
        "reward code: the data has no column tests, test, unit_tests or test_list; columns: level, solution. "
        "Rename the column that holds it, or choose another reward"
    )
    with pytest.raises(ConfigError, match="columns: none"):
        check_columns(REWARDS["math"], [])


def test_the_total_is_the_weighted_sum_of_what_applies() -> None:
    # 2 * 1 + 0.5 * 0.5 = 2.25; 2 * 0 = 0; 0.5 * -1 = -0.5
    rewards = [(fixed("a", 1.0, 0.0, None), 2.0), (fixed("b", 0.5, None, -1.0), 0.5)]
    scored = weighted_rewards(rewards, completions_of(["x", "y", "z"]))
    assert scored.totals == [2.25, 0.0, -0.5]
    assert scored.scores == {"a": [1.0, 0.0, None], "b": [0.5, None, -1.0]}
    assert scored.left_out == []


def test_real_rewards_add_up() -> None:
    texts = ["<think>2</think>The answer is 4.", "The answer is 4.", "<think>2</think>The answer is 5."]
    rewards = [(REWARDS["math"], 1.0), (REWARDS["format"], 0.25), (REWARDS["length"], -1.0)]
    completions = completions_of(texts, answer=["#### 4"] * 3, num_tokens=[10, 90, 10])
    assert weighted_rewards(rewards, completions).totals == [0.25, 0.5, -0.75]


def test_a_row_that_no_reward_applies_to_is_named_and_has_no_total() -> None:
    rewards = [(REWARDS["math"], 1.0), (REWARDS["exact"], 1.0)]
    scored = weighted_rewards(rewards, completions_of(["4", "4", "5"], answer=[None, "4", None]))
    assert scored.totals == [None, 2.0, None]
    why = "the prompt that ends with 'How many?': math, exact found nothing to compare with"
    assert scored.left_out == [why]


@pytest.mark.parametrize(
    ("reward", "column", "good", "odd"),
    [
        ("math", "answer", "4", "3:45 PM"),
        ("math", "answer", "4", r"\frac{1}{+}"),
        ("exact", "answer", "4", {"value": [1]}),
        ("code", "tests", [{"input": "", "output": "4"}], "x = 1"),
    ],
)
def test_a_row_that_a_reward_cannot_use_is_scored_by_the_others_alone(
    reward: str, column: str, good: object, odd: object
) -> None:
    texts = ["4" if reward != "code" else "```python\nprint(4)\n```"] * 3
    completions = completions_of(texts, **{column: [good, odd, odd]})
    alone = weighted_rewards([(REWARDS[reward], 1.0)], completions)
    assert alone.totals == [1.0, None, None]
    (why,) = alone.left_out
    assert why.startswith(f"the prompt that ends with 'How many?': reward {reward}: ")
    with_length = weighted_rewards([(REWARDS[reward], 1.0), (REWARDS["length"], 0.5)], completions)
    assert with_length.totals == [1.5, 0.5, 0.5]
    assert with_length.scores[reward] == [1.0, None, None]
    assert with_length.left_out == [why]


def test_completions_are_of_one_length() -> None:
    with pytest.raises(AssertionError, match="unequal lengths"):
        Completions(["a"], [[]], {"answer": [1, 2]}, [1], [True], [False], 10)


def test_the_first_column_with_a_value_wins_in_each_row() -> None:
    completions = completions_of(["a", "b"], solution=["s", "t"], answer=["a", None])
    assert completions.column(("answer", "solution")) == ["a", "t"]
    assert completions.column(("other", "solution")) == ["s", "t"]
    assert completions.column(("other",)) == [None, None]


def test_the_registry_imports_no_training_library() -> None:
    code = (
        "import json, sys, opensloth_core.rewards.registry, opensloth_core.config.rewards\n"
        "heavy = {'torch', 'transformers', 'trl', 'unsloth', 'prefect', 'datasets', 'sympy', 'math_verify'}\n"
        "print(json.dumps(sorted(heavy & set(sys.modules))))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(printed) == []
