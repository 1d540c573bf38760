"""A run with a result to export."""

import shutil
from pathlib import Path

import pytest

from opensloth_core.runs.directory import RunDirectory
from tests.opensloth_core.models.conftest import adapter_dir as adapter_dir
from tests.opensloth_core.models.conftest import make_adapter as make_adapter


@pytest.fixture
def run(home: Path, adapter_dir: Path, tiny_model_dir: Path) -> RunDirectory:
    """A completed run whose result is the adapter."""
    from opensloth_core.config.opensloth import OpenSlothConfig

    run = RunDirectory.create(OpenSlothConfig.of({"data": "d.jsonl", "model": str(tiny_model_dir)}))
    shutil.copytree(adapter_dir, run.adapter_dir)
    run.events.state("completed")
    return run
