"""How rewards are given as a setting."""

import pytest

from opensloth_core.config.base import Settings
from opensloth_core.config.rewards import RewardChoice, Rewards, parse_reward
from opensloth_core.errors import ConfigError


class Scored(Settings):
    rewards: Rewards = (RewardChoice(name="math"),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("math", ("math", 1.0)),
        ("math=0.5", ("math", 0.5)),
        (" math = 2 ", ("math", 2.0)),
        ("length=-0.1", ("length", -0.1)),
        ("math=1e-3", ("math", 0.001)),
        ("pkg.mod:func", ("pkg.mod:func", 1.0)),
        ("pkg.mod:func=2", ("pkg.mod:func", 2.0)),
    ],
)
def test_a_reward_is_a_name_and_a_weight(text: str, expected: tuple[str, float]) -> None:
    assert parse_reward(text) == expected


@pytest.mark.parametrize(
    "text", ["math=", "math=x", "math=0", "math=-0.0", "math=nan", "math=inf", "math=1=2"]
)
def test_a_weight_is_finite_and_not_0(text: str) -> None:
    with pytest.raises(
        ValueError, match=f"{text}: the weight must be a finite number other than 0, such as math=0.5"
    ):
        parse_reward(text)


@pytest.mark.parametrize("text", ["", " ", "=1"])
def test_a_reward_has_a_name(text: str) -> None:
    with pytest.raises(ValueError, match="must be NAME or NAME=WEIGHT"):
        parse_reward(text)


@pytest.mark.parametrize(
    "value",
    [
        "math,format=0.2",
        "math=1, format=0.2",
        ["math", "format=0.2"],
        ("math=1", "format=0.2"),
        {"math": 1, "format": 0.2},
        ["math", {"name": "format", "weight": 0.2}],
        [RewardChoice(name="math"), "format=0.2"],
    ],
)
def test_rewards_may_be_given_in_many_forms(value: object) -> None:
    rewards = Scored.of({"rewards": value}).rewards
    assert rewards == (RewardChoice(name="math", weight=1.0), RewardChoice(name="format", weight=0.2))


def test_one_mapping_is_one_reward() -> None:
    assert Scored.of({"rewards": {"name": "math", "weight": 2}}).rewards == (
        RewardChoice(name="math", weight=2),
    )


def test_no_reward_is_no_mistake_of_the_setting() -> None:
    assert Scored.of({"rewards": ()}).rewards == Scored.of({"rewards": ""}).rewards == ()


def test_the_setting_survives_json() -> None:
    settings = Scored.of({"rewards": "math,mine.style:short=0.25"})
    assert Scored.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            ["math", "math=2"],
            "rewards: reward math is given twice; give it once, with the sum of the weights",
        ),
        ([{"name": "math"}, "math"], "rewards: reward math is given twice"),
        ("math=0", "rewards: math=0: the weight must be a finite number other than 0"),
        ({"math": 0}, "rewards.0.weight: must be a finite number other than 0, got 0"),
        ([{"name": "math", "weight": "nan"}], "rewards.0.weight: must be finite"),
        ([{"name": ""}], "rewards.0.name: must not be empty"),
        ([{"nam": "math"}], "rewards: a reward has a name and a weight, and not: nam"),
        ([{"name": "math", "wait": 1}], "rewards: a reward has a name and a weight, and not: name, wait"),
        ([3], "rewards: must be NAME or NAME=WEIGHT"),
        (3, "rewards: "),
    ],
)
def test_a_wrong_setting_is_named(value: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Scored.of({"rewards": value})
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
