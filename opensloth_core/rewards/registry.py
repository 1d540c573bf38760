"""The rewards there are, and how a name finds one."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from types import MappingProxyType

from opensloth_core.errors import ConfigError
from opensloth_core.rewards.exact import check_exact_row, score_exact
from opensloth_core.rewards.format import score_format
from opensloth_core.rewards.length import score_length
from opensloth_core.rewards.mathematics.score import check_math_row, score_math
from opensloth_core.rewards.programs.score import check_code_row, score_code
from opensloth_core.rewards.programs.suite import TEST_COLUMNS
from opensloth_core.rewards.reference import REFERENCE_COLUMNS
from opensloth_core.rewards.reward import Reward
from opensloth_core.rewards.user import load_user_reward

__all__ = ["REWARDS", "Reward", "check_columns", "find_reward"]

_BUILT_IN = (
    Reward(
        "math",
        score_math,
        (REFERENCE_COLUMNS,),
        "1 where the final answer is mathematically equal to the reference, else 0",
        check_math_row,
    ),
    Reward(
        "format",
        score_format,
        (),
        "1 for <think>…</think> and then text or <answer>…</answer>, each once, else 0",
    ),
    Reward(
        "length",
        score_length,
        (),
        "1 for a finished completion, falling to 0 over the last fifth before the token limit",
    ),
    Reward(
        "exact",
        score_exact,
        (REFERENCE_COLUMNS,),
        "1 where the answer is the reference's text, apart from case and white space, else 0",
        check_exact_row,
    ),
    Reward(
        "code",
        score_code,
        (TEST_COLUMNS,),
        "share of the row's tests that the last Python block passes, run in a sandbox",
        check_code_row,
    ),
)

REWARDS: Mapping[str, Reward] = MappingProxyType({reward.name: reward for reward in _BUILT_IN})


def find_reward(name: str) -> Reward:
    """The reward of that name, or the user's own where it is `package.module:function`.

    Raises:
        ConfigError: there is no such reward, or the user's function cannot or must not be loaded.
    """
    if name in REWARDS:
        return REWARDS[name]
    if ":" in name:
        return load_user_reward(name)
    close = get_close_matches(name.lower(), REWARDS, n=1)
    meant = f"; did you mean {close[0]}?" if close else "."
    raise ConfigError(
        f"reward {name}: no such reward{meant} There are: {', '.join(REWARDS)}; "
        "your own is named package.module:function"
    )


def check_columns(reward: Reward, available_columns: Iterable[str]) -> None:
    """The data must hold what the reward reads.

    Raises:
        ConfigError: none of the columns that may hold one piece is there.
    """
    available = sorted(available_columns)
    for names in reward.columns:
        if not set(names) & set(available):
            wanted = ", ".join(names[:-1]) + " or " + names[-1] if len(names) > 1 else names[0]
            raise ConfigError(
                f"reward {reward.name}: the data has no column {wanted}; columns: "
                f"{', '.join(available) or 'none'}. Rename the column that holds it, "
                "or choose another reward"
            )
