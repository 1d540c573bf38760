"""A reward's name finds functions that somebody allowed, and runs nothing else."""

import sys
from pathlib import Path

import pytest

from opensloth_core.config.rewards import parse_rewards
from opensloth_core.errors import ConfigError
from opensloth_core.rewards.registry import find_reward
from opensloth_core.rewards.user import MODULES_VARIABLE

OURS = """
import functools
import subprocess
from os import system
from subprocess import run as launch
from pathlib import Path

def politeness(completions):
    return [1.0 for _ in completions]

def _scaled(completions, factor):
    return [factor for _ in completions]

half = functools.partial(_scaled, factor=0.5)
hidden = functools.partial(system)
"""


@pytest.fixture
def rewards_dir(home: Path) -> Path:
    """The folder of the user's own rewards, with one module in it."""
    folder = home / "rewards"
    folder.mkdir(parents=True)
    (folder / "ours.py").write_text(OURS)
    return folder


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "subprocess:check_output",
        "builtins:eval",
        "builtins:exec",
        "pickle:loads",
        "importlib:import_module",
        "runpy:run_path",
        "opensloth_core.rewards.programs.harness:main",
        "ours.subprocess:run",
        "../ours:politeness",
        "..ours:politeness",
        "/etc/passwd:x",
        "ours:politeness.__globals__",
        "ours:politeness()",
        "ours:__import__('os').system",
        "ours\0:politeness",
        "ours:",
        ":politeness",
        "ours:politeness:x",
        "\uff4f\uff53:system",
        "__main__:main",
        "ours:missing",
        "ours:system",
        "ours:launch",
        "ours:Path",
        "ours:subprocess",
        "ours:hidden",
        "ours:__builtins__",
    ],
)
def test_names_that_must_find_nothing(rewards_dir: Path, name: str) -> None:
    before = set(sys.modules)
    with pytest.raises(ConfigError, match="reward "):
        find_reward(name)
    new = {module for module in set(sys.modules) - before if not module.startswith("opensloth_user_rewards")}
    assert not new


@pytest.mark.parametrize("name", ["ours:politeness", "ours:half"])
def test_functions_of_the_user_s_own_are_found(rewards_dir: Path, name: str) -> None:
    assert find_reward(name).name == name


def test_a_link_out_of_the_rewards_folder_is_not_followed(rewards_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text("def f(completions): ...\n")
    (rewards_dir / "evil.py").symlink_to(tmp_path / "evil.py")
    (rewards_dir / "linked").symlink_to(tmp_path)
    for name in ("evil:f", "linked.evil:f"):
        with pytest.raises(ConfigError, match="leads out of"):
            find_reward(name)


def test_allowing_a_module_does_not_allow_one_whose_name_begins_so(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MODULES_VARIABLE, "json")
    with pytest.raises(ConfigError, match="the module jsonschema is not allowed to score"):
        find_reward("jsonschema:validate")
    with pytest.raises(ConfigError, match="has it from codecs"):
        monkeypatch.setattr("json.codecs_open", __import__("codecs").open, raising=False)
        find_reward("json:codecs_open")


def test_a_name_is_never_evaluated_when_it_is_parsed() -> None:
    (choice,) = parse_rewards("__import__('os').system('true')")
    assert choice.name == "__import__('os').system('true')"
