"""Which rewards score completions, and with what weight."""

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from opensloth_core.config.base import Settings


def parse_reward(text: str) -> tuple[str, float]:
    """`"math=0.5"` as `("math", 0.5)`; the weight is 1 where none is given.

    Raises:
        ValueError: no name, or a weight that is no finite number other than 0.
    """
    name, has_weight, weight_text = (part.strip() for part in text.partition("="))
    if not name:
        raise ValueError("must be NAME or NAME=WEIGHT, such as math=0.5")
    if not has_weight:
        return name, 1.0
    try:
        return name, checked_weight(float(weight_text))
    except ValueError as err:
        raise ValueError(
            f"{text.strip()}: the weight must be a finite number other than 0, such as {name}=0.5"
        ) from err


def checked_weight(weight: float) -> float:
    """The weight itself.

    Raises:
        ValueError: it is 0, infinite or no number.
    """
    if weight == 0 or not math.isfinite(weight):
        raise ValueError("must be a finite number other than 0")
    return weight


class RewardChoice(Settings):
    """One reward and what it counts."""

    name: str = Field(min_length=1)
    """A reward of ours (math, format, length, exact, code) or your own as package.module:function."""

    weight: float = 1.0
    """What its score is multiplied with before the scores are added."""

    _check_weight = field_validator("weight")(checked_weight)

    def __str__(self) -> str:
        """As it is given: `format=0.2`."""
        return self.name if self.weight == 1 else f"{self.name}={self.weight:g}"


def parse_rewards(value: Any) -> Any:
    """The forms people write, as a tuple of choices: each reward may be given once.

    `"math"`, `"math=1,format=0.2"`, `["math", "format=0.2"]`, `{"math": 1, "format": 0.2}`,
    `[{"name": "math", "weight": 1}]`.

    Raises:
        ValueError: a part that names no reward, a wrong weight, or a reward given twice.
    """
    if isinstance(value, str):
        value = [part for part in value.split(",") if part.strip()]
    elif isinstance(value, RewardChoice) or (isinstance(value, Mapping) and "name" in value):
        value = [value]
    elif isinstance(value, Mapping):
        value = [{"name": name, "weight": weight} for name, weight in value.items()]
    if not isinstance(value, list | tuple):
        return value
    choices = [_choice(part) for part in value]
    names = [choice.get("name") if isinstance(choice, Mapping) else choice.name for choice in choices]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"reward {twice} is given twice; give it once, with the sum of the weights")
    return tuple(choices)


def _choice(part: Any) -> RewardChoice | Mapping[str, Any]:
    if isinstance(part, str):
        name, weight = parse_reward(part)
        return RewardChoice(name=name, weight=weight)
    if isinstance(part, RewardChoice):
        return part
    if not isinstance(part, Mapping):
        raise ValueError("must be NAME or NAME=WEIGHT, such as math=0.5")
    if "name" not in part or not set(part) <= set(RewardChoice.model_fields):
        raise ValueError(f"a reward has a name and a weight, and not: {', '.join(map(str, part))}")
    return part


Rewards = Annotated[tuple[RewardChoice, ...], BeforeValidator(parse_rewards)]
