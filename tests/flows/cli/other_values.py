"""Values a user may type for a flag, none of them the default, with what they must become."""

from flows.cli.flags import Flag
from opensloth_core.config.rewards import RewardChoice

REQUIRED = {"data": "some.jsonl", "model": "some-model"}
REQUIRED_BY = {"grpo": {"reward": "math"}}

GIVEN: dict[str, list[tuple[str, object]]] = {
    "data": [("other.jsonl", ("other.jsonl",))],
    "map": [("messages=talk", {"messages": "talk"}), ("role.user=me", {"role.user": "me"})],
    "batch_size": [("16", 16)],
    "resume": [("auto", "auto")],
    "reward": [("code=0.5", (RewardChoice(name="code", weight=0.5),))],
    "overlong": [("error", "error")],
    "num_generations": [("2", 2)],
    "eval_size": [("5%", 0.05), ("0.25", 0.25), ("500", 500.0)],
}
NEEDED = {"samples_from": {"samples": "9"}, "allow_drift": {"resume": "auto"}}
"""What must be given too for a setting to have an effect."""


def other_values(flag: Flag) -> list[tuple[str, object]]:
    """Texts and what they become; see above."""
    if flag.is_switch:
        return [("true", True)]
    if flag.name in ("data_output", "output", "pretrained_lora"):
        return [("/some/dir", "/some/dir")]  # whole, as a run records them
    if flag.name in GIVEN:
        return GIVEN[flag.name]
    if "|" in flag.metavar:
        return [(choice, choice) for choice in flag.metavar.split("|") if choice != flag.default]
    if flag.metavar == "A,B,…":
        return [("one, two", ("one", "two"))]
    return [{"N": ("7", 7), "X": ("0.375", 0.375)}.get(flag.metavar, ("other", "other"))]
