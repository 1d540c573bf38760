"""Fixtures that start the ranks of a test as forks of one process that has imported what ranks import.

They take a second instead of up to twenty. For tests that neither kill ranks nor limit them: the process
that the product starts is a go-between, and the rank is not its child.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from opensloth_core.launch import process, rank
from opensloth_core.runs.directory import Launch
from tests.warm.start import fork_server

IMPORTS = (
    "torch",
    "unsloth",  # before transformers, trl and peft
    "opensloth_core.training.evaluation.callback",
    "opensloth_core.training.micro_batch",
    "opensloth_core.training.save",
    "opensloth_core.training.sft",
    "opensloth_core.training.dpo",
    "opensloth_core.training.grpo.trainer",
    "peft.utils.transformers_weight_conversion",
)
MODULES = (
    "opensloth_core.training.worker",
    "tests.opensloth_core.training.dpo_trials",
    "tests.opensloth_core.training.grpo.fixed_ranks",
)


@pytest.fixture(scope="session")
def warm_python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What to start in place of Python to run a rank; other modules run in a Python of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENSLOTH_HOME", str(tmp_path_factory.mktemp("home-of-imports")))
        compute_with_one_thread(patch)
        environment = rank.rank_environment(Launch("", ("cpu",), ""), 0)
    with fork_server(IMPORTS, MODULES, environment) as program:
        yield program


@pytest.fixture
def warm_ranks(warm_python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has runs of this process start their ranks that way."""
    use_warm_ranks(warm_python, monkeypatch)


def use_warm_ranks(warm_python: Path, patch: pytest.MonkeyPatch) -> None:
    """As the fixture, for as long as the patch lasts."""
    patch.setattr(process, "sys", SimpleNamespace(executable=str(warm_python)))
    compute_with_one_thread(patch)


def compute_with_one_thread(patch: pytest.MonkeyPatch) -> None:
    """Have ranks believe in one core, since tests share the cores."""
    patch.setattr(rank, "os", SimpleNamespace(sched_getaffinity=lambda pid: {0}, environ=os.environ))
