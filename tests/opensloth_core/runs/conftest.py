"""A run whose results are there."""

from pathlib import Path

import pytest

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.store.artifact import Manifest, commit, file_records, staging
from opensloth_core.store.prepared import prepared_dir

KEY = "0123abcd"


@pytest.fixture
def config() -> OpenSlothConfig:
    """A run's configuration; nothing in it exists."""
    return OpenSlothConfig.of({"data": "data/my rows.jsonl", "model": "org/gemma-3", "gpus": 2})


@pytest.fixture
def finished_run(config: OpenSlothConfig, home: Path) -> RunDirectory:
    """A run with an adapter, and prepared data in the store."""
    with staging(prepared_dir(KEY)) as folder:
        (folder / "shard-00000-of-00001.arrow").write_bytes(b"rows")
        commit(folder, prepared_dir(KEY), Manifest(files=file_records(folder)))
    run = RunDirectory.create(config)
    run.write_launch(Launch("/models/gemma", ("cpu", "cpu"), KEY))
    run.adapter_dir.mkdir()
    (run.adapter_dir / "adapter_model.safetensors").write_bytes(b"weights" * 1000)
    (run.adapter_dir / "adapter_config.json").write_text("{}")
    return run
