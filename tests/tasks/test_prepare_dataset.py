"""The task cache on a real Prefect server: when it hits, when it misses, and that it is never wrong."""

import os
import shutil
from pathlib import Path

import pytest
from prefect import flow

from opensloth_core.api import run_prepare_data
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.store.prepared import find_prepared, prepared_dir, prepared_key
from tasks.prepare_dataset import prepared_or_cached

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.usefixtures("prefect_api", "home")]


@flow
async def prepare_only(run_dir: Path, key: str) -> bool:
    return (await prepared_or_cached(run_dir, key)).is_cached


class Command:
    """The same preparation, run again and again as a user would."""

    def __init__(self, data: Path, model_dir: Path) -> None:
        self.data = data
        self.model_dir = model_dir
        self.key = ""

    def config(self, **settings: object) -> OpenSlothConfig:
        values = {"data": str(self.data), "model": str(self.model_dir), "gpus": 1, "max_seq_length": 192}
        return OpenSlothConfig.of({**values, **settings})

    async def is_cached(self, **settings: object) -> bool:
        config = self.config(**settings)
        run = RunDirectory.create(config)
        world_size = int(str(config.gpus))
        self.key = prepared_key(config.preparation, self.model_dir, world_size).digest
        run.write_launch(Launch(str(self.model_dir), ("cpu",) * world_size, self.key))
        cached = await prepare_only(run.path, self.key)
        # Preparation leaves a log, so its absence shows that nothing was tokenized.
        assert run.prepare_log_path.exists() is not cached
        assert find_prepared(self.key)[0] is not None
        return cached


@pytest.fixture
def command(tmp_path: Path, chat_data: Path, tiny_model_dir: Path) -> Command:
    data = tmp_path / "train.jsonl"
    shutil.copy(chat_data, data)
    return Command(data, tiny_model_dir)


async def test_the_same_content_hits_and_any_change_misses(command: Command, tmp_path: Path) -> None:
    assert not await command.is_cached()
    assert await command.is_cached()

    os.utime(command.data)
    command.data = command.data.rename(tmp_path / "renamed.json")
    assert await command.is_cached()

    assert not await command.is_cached(gpus=2)
    text = command.data.read_text()
    command.data.write_text(text.replace("flag 7?", "flag 8?"))
    assert not await command.is_cached()
    command.data.write_text(text)
    assert await command.is_cached()


async def test_a_damaged_artifact_is_noticed_and_rebuilt(command: Command) -> None:
    assert not await command.is_cached()
    shard = prepared_dir(command.key) / "shard-00000-of-00001.arrow"
    whole = shard.read_bytes()

    shard.write_bytes(whole[:-1])
    assert not await command.is_cached()
    assert shard.read_bytes() == whole

    shutil.rmtree(shard.parent)
    assert not await command.is_cached()
    assert shard.read_bytes() == whole
    assert await command.is_cached()


async def test_a_failure_is_never_served_as_a_result(command: Command) -> None:
    command.data.write_text(command.data.read_text() + "broken\n" * 5)
    with pytest.raises(ConfigError, match=r"5 of 45 rows \(11.1%\) cannot be used"):
        await command.is_cached()

    accepted = run_prepare_data(command.config(max_rejected=0.5).preparation)
    manifest = accepted.manifest.model_copy(update={"key": command.key}).sealed()
    shutil.copytree(accepted.folder, prepared_dir(command.key))
    (prepared_dir(command.key) / "manifest.json").write_text(manifest.model_dump_json())
    assert not await command.is_cached()
    assert await command.is_cached()


async def test_data_prepared_without_prefect_is_taken_as_it_is(command: Command) -> None:
    prepared = run_prepare_data(command.config().preparation)
    before = (prepared.folder / "manifest.json").stat().st_mtime_ns
    assert not await command.is_cached()
    assert command.key == prepared.manifest.key
    assert await command.is_cached()
    assert (prepared.folder / "manifest.json").stat().st_mtime_ns == before
