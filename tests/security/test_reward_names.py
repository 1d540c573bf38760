"""A reward's name finds functions that somebody allowed, and runs nothing else."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.config.rewards import RewardChoice, parse_rewards
from opensloth_core.errors import ConfigError
from opensloth_core.retrain.fingerprint import SourceFingerprint, source_fingerprint
from opensloth_core.rewards.registry import find_reward
from opensloth_core.rewards.user import MODULES_VARIABLE, source_file

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
def rewards_dir(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's own rewards, with one module in it; `planted` is installed."""
    folder = home / "rewards"
    folder.mkdir(parents=True)
    (folder / "ours.py").write_text(OURS)
    package = home / "site" / "planted"
    package.mkdir(parents=True)
    for module in ("__init__", "inner"):
        (package / f"{module}.py").write_text("def f(completions): ...\n")
    monkeypatch.syspath_prepend(str(package.parent))
    return folder


PLACES_THAT_NOBODY_ALLOWED = [
    "os:system",
    "subprocess:check_output",
    "builtins:eval",
    "builtins:exec",
    "pickle:loads",
    "importlib:import_module",
    "runpy:run_path",
    "opensloth_core.rewards.programs.harness:main",
    "planted:f",
    "planted.inner:f",
    "planted.inner.deeper:f",
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
]

WHAT_IS_NO_FUNCTION_OF_OURS = [
    "ours:missing",
    "ours:system",
    "ours:launch",
    "ours:Path",
    "ours:subprocess",
    "ours:hidden",
    "ours:__builtins__",
]


@contextmanager
def nothing_imported() -> Iterator[None]:
    before = set(sys.modules)
    yield
    new = {module for module in set(sys.modules) - before if not module.startswith("opensloth_user_rewards")}
    assert not new


@pytest.mark.parametrize("name", PLACES_THAT_NOBODY_ALLOWED + WHAT_IS_NO_FUNCTION_OF_OURS)
def test_names_that_must_find_nothing(rewards_dir: Path, name: str) -> None:
    with nothing_imported(), pytest.raises(ConfigError, match="reward "):
        find_reward(name)


@pytest.mark.parametrize("name", PLACES_THAT_NOBODY_ALLOWED)
def test_looking_for_new_rewards_looks_nowhere_else(rewards_dir: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="reward "):
        fingerprint_with(rewards_dir, name)


@pytest.mark.parametrize("name", WHAT_IS_NO_FUNCTION_OF_OURS)
def test_looking_for_new_rewards_runs_nothing(rewards_dir: Path, name: str) -> None:
    (rewards_dir / "ours.py").write_text("raise AssertionError('it is run')")
    assert fingerprint_with(rewards_dir, name).num_files == 1


def fingerprint_with(rewards_dir: Path, name: str) -> SourceFingerprint:
    """What a retraining with this reward would be told by; nothing may be imported for it."""
    source = rewards_dir.parent / "rows.jsonl"
    source.write_text('{"prompt": "Hi?"}\n')
    config = OpenSlothConfig.of({"data": str(source), "model": "m", "method": "grpo", "eval_size": 0.5})
    source_fingerprint(config, {})  # imports what reading rows needs
    choices = (RewardChoice(name=name),)
    config = config.model_copy(update={"grpo": config.grpo.model_copy(update={"reward": choices})})
    with nothing_imported():
        return source_fingerprint(config, {})


@pytest.mark.parametrize("name", ["ours:politeness", "ours:half"])
def test_functions_of_the_user_s_own_are_found(rewards_dir: Path, name: str) -> None:
    assert find_reward(name).name == name


def test_a_link_out_of_the_rewards_folder_is_not_followed(rewards_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text("def f(completions): ...\n")
    (rewards_dir / "evil.py").symlink_to(tmp_path / "evil.py")
    (rewards_dir / "linked").symlink_to(tmp_path)
    for name in ("evil:f", "linked.evil:f"):
        for find in (find_reward, source_file):
            with pytest.raises(ConfigError, match="leads out of"):
                find(name)


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
