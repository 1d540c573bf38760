"""Completed runs with a result, and a shell to type in."""

from collections.abc import Callable
from pathlib import Path

import pytest

from opensloth_core.runs.directory import RunDirectory
from tests.flows.cli.runs.conftest import terminal as terminal
from tests.flows.cli.runs.conftest import typed as typed
from tests.flows.cli.runs.conftest import write_run as write_run
from tests.opensloth_core.registry.adapters import write_adapter


@pytest.fixture
def trained(write_run: Callable[..., RunDirectory]) -> Callable[[int], RunDirectory]:
    """A completed run whose adapter is of a mark."""

    def run(mark: int) -> RunDirectory:
        done = write_run(age=100 - mark)
        write_adapter(Path(done.adapter_dir), mark)
        return done

    return run
