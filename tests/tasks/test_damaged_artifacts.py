"""Damage of an artifact, met by the task cache on a real Prefect server: found, said, and made again."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from prefect import flow

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.runs.events import read_events
from opensloth_core.store.artifact import MANIFEST
from opensloth_core.store.prepared import prepared_dir, prepared_key
from tasks.prepare_dataset import prepared_or_cached

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.usefixtures("prefect_api", "home")]

SHARD = "shard-00000-of-00001.arrow"


@flow
async def prepare_only(run_dir: Path, key: str) -> bool:
    return (await prepared_or_cached(run_dir, key)).is_cached


@pytest.fixture
def run(chat_data: Path, tiny_model_dir: Path) -> Callable[[bool], RunDirectory]:
    """Opens a run that prepares the same data each time."""

    def opened(verify: bool) -> RunDirectory:
        values = {"data": str(chat_data), "model": str(tiny_model_dir), "gpus": 1, "max_seq_length": 192}
        config = OpenSlothConfig.of({**values, "verify": verify})
        run = RunDirectory.create(config)
        key = prepared_key(config.preparation, tiny_model_dir, 1).digest
        run.write_launch(Launch(str(tiny_model_dir), ("cpu",), key))
        return run

    return opened


def said(run: RunDirectory) -> list[str]:
    return [str(event["text"]) for event in read_events(run.events_path) if event["kind"] == "message"]


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def copy_half(folder: Path) -> None:
    """As a copy from elsewhere that broke off."""
    (folder / MANIFEST).unlink()
    os.truncate(folder / SHARD, 100)


HARMS: dict[str, tuple[Callable[[Path], object], bool, str | None]] = {
    "deleted": (lambda folder: shutil.rmtree(folder), False, None),
    "a file deleted": (lambda folder: (folder / SHARD).unlink(), False, f"{SHARD} is missing"),
    "truncated": (lambda folder: os.truncate(folder / SHARD, 8), False, f"{SHARD} has 8 bytes, should have "),
    "half copied": (copy_half, False, f"{MANIFEST} is missing"),
    "a bit flipped": (lambda folder: flip_a_bit(folder / SHARD), True, f"{SHARD} has changed since it was"),
    "a bit of the manifest flipped": (
        lambda folder: flip_a_bit(folder / MANIFEST),
        False,
        f"{MANIFEST} ",
    ),
}
"""What is done to an artifact, whether it takes --verify to be found, and what is said."""


async def test_whatever_becomes_of_an_artifact_is_found_said_and_made_again(
    run: Callable[[bool], RunDirectory],
) -> None:
    first = run(False)
    key = first.launch().prepared_key
    assert not await prepare_only(first.path, key)
    folder = prepared_dir(key)
    whole = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != MANIFEST}
    for harm, (do, needs_verify, problem) in HARMS.items():
        do(folder)
        if needs_verify:  # without it, sizes are all that is looked at
            assert await prepare_only(run(False).path, key), harm
        damaged = run(needs_verify)
        assert not await prepare_only(damaged.path, key), harm
        lines = said(damaged)
        if problem is None:
            assert lines == [], harm
        else:
            (line,) = lines
            assert line.startswith(f"{folder}: {problem}") and line.endswith("; preparing it again"), harm
        made = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != MANIFEST}
        assert made == whole, harm
        assert await prepare_only(run(False).path, key), harm


async def test_verified_data_is_a_hit_that_was_read_once(
    run: Callable[[bool], RunDirectory], monkeypatch: pytest.MonkeyPatch
) -> None:
    import opensloth_core.store.verify as verify

    first = run(False)
    key = first.launch().prepared_key
    assert not await prepare_only(first.path, key)
    read: list[str] = []
    digest = verify.file_digest

    def noted(path: Path) -> str:
        read.append(path.name)
        return digest(path)

    monkeypatch.setattr(verify, "file_digest", noted)
    verified = run(True)
    assert await prepare_only(verified.path, key)
    names = sorted(path.name for path in prepared_dir(key).iterdir() if path.name != MANIFEST)
    assert sorted(read) == names
    size_bytes = sum((prepared_dir(key) / name).stat().st_size for name in names)
    assert said(verified) == [
        "verified: every byte of the prepared data is what was written "
        f"({len(names)} files, {size_bytes / 1e6:,.1f} MB)"
    ]
    read.clear()
    assert await prepare_only(run(False).path, key)
    assert read == []
