"""What is in the store, found by key, and how much room it takes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.chunk import RawChunk
from opensloth_core.errors import ConfigError
from opensloth_core.store.catalog import (
    Artifact,
    StoredFile,
    catalog,
    find_artifact,
    freed_bytes,
    size_on_disk,
)
from opensloth_core.store.contents import Contents, contents
from opensloth_core.store.pins import pin

Prepare = Callable[..., dict[str, bytes]]


def artifact(key: str, *inodes: int, links: int = 1, size: int = 100, kind: str = "tokens") -> Artifact:
    files = tuple(StoredFile(f"part-{n}", (1, n), size, links) for n in inodes)
    return Artifact(key, kind, Path("/store") / key, None, None, 0.0, 0.0, files, False)  # type: ignore[arg-type]


def append_rows(config: DatasetPrepConfig, numbers: range) -> None:
    with Path(config.data[0]).open("a") as file:
        for number in numbers:
            file.write(json.dumps({"question": f"What is {number}?", "answer": f"It is {number}."}) + "\n")


def test_prepared_data_and_its_tokens_are_listed_newest_first(
    config: DatasetPrepConfig, prepared_files: Prepare
) -> None:
    prepared_files(config)
    prepared_files(config, num_shards=1)
    found = catalog()
    assert [one.kind for one in found] == ["prepared", "prepared", "tokens"]
    one_gpu, two_gpus, tokens = found
    assert one_gpu.is_made_from(tokens) and two_gpus.is_made_from(tokens)
    assert not tokens.is_made_from(one_gpu)
    assert one_gpu.parts["GPU count"] == "1"
    assert all(one.problem is None and not one.is_pinned for one in found)


def test_contents_say_for_whom_and_from_what(config: DatasetPrepConfig, prepared_files: Prepare) -> None:
    prepared_files(config)
    prepared, tokens = found = catalog()
    # A row: 1 + "user\n" + 12 + 1 + "\n", and 1 + "assistant\n" + 10 + 1 + "\n".
    num_tokens = 30 * (20 + 23)
    assert contents(prepared, found) == Contents("sft", "model", "train", 2, rows=30, tokens=num_tokens)
    assert contents(tokens, found) == Contents("sft", "model", "train", None, rows=30, tokens=num_tokens)
    tokenizer = tokens.parts["tokenizer: tokenizer.json"]
    assert contents(tokens, [tokens]).model == f"tokenizer {tokenizer[:4]}…"


def test_damage_and_pins_are_listed_and_what_cannot_be_read_is_too(
    config: DatasetPrepConfig, prepared_files: Prepare
) -> None:
    prepared_files(config)
    prepared, tokens = catalog()
    pin(prepared.key)
    (tokens.folder / "chunks.jsonl").unlink()
    (prepared.folder / "manifest.json").write_text("{")
    by_kind = {one.kind: one for one in catalog()}
    assert by_kind["prepared"].is_pinned and by_kind["prepared"].manifest is None
    assert "manifest.json is damaged" in str(by_kind["prepared"].problem)
    assert by_kind["tokens"].problem == "chunks.jsonl is missing"
    assert contents(by_kind["tokens"], catalog()).rows is None
    assert contents(by_kind["prepared"], catalog()) == Contents()


def test_shared_chunks_count_once_on_disk(
    config: DatasetPrepConfig, prepared_files: Prepare, small_chunks: list[RawChunk]
) -> None:
    prepared_files(config)
    (before,) = [one for one in catalog() if one.kind == "tokens"]
    append_rows(config, range(200, 260))
    prepared_files(config)
    tokens = [one for one in catalog() if one.kind == "tokens"]
    parts = {file.inode: file.size_bytes for one in tokens for file in one.files}
    shared = [file for file in before.files if file.name.startswith("part-")]
    assert len(shared) == 1
    assert size_on_disk(tokens) == sum(parts.values())
    assert sum(one.size_bytes for one in tokens) - size_on_disk(tokens) == shared[0].size_bytes
    (before,) = [one for one in catalog() if one.key == before.key]
    assert freed_bytes([before]) == before.size_bytes - shared[0].size_bytes
    assert freed_bytes(tokens) == size_on_disk(tokens)


def test_bytes_with_another_name_elsewhere_are_not_freed() -> None:
    one, two = artifact("a", 1, 2, links=2), artifact("b", 2, 3, links=2)
    assert size_on_disk([one, two]) == 300
    assert freed_bytes([one]) == 0
    assert freed_bytes([one, two]) == 100


def test_a_vanished_artifact_is_left_out(config: DatasetPrepConfig, prepared_files: Prepare) -> None:
    prepared_files(config)
    (catalog()[0].folder.parent / ".staging-x-0123456789abcdef").mkdir()
    assert len(catalog()) == 2


def test_a_merged_model_is_listed(home: Path) -> None:
    folder = home / "models" / "merged-0123"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"x" * 10)
    (home / "models" / "SmolLM2").mkdir()
    (found,) = catalog()
    assert (found.key, found.kind, found.size_bytes, found.problem) == ("0123", "merged", 10, None)
    assert find_artifact("merged-01", [found]) is found


STORE = [
    artifact("0123456789ab", kind="prepared"),
    artifact("0123ffffffff", kind="prepared"),
    artifact("aaaaaaaa-77e8e942"),
    artifact("aaaaaaaa-11112222"),
]


@pytest.mark.parametrize(
    ("called", "key"),
    [
        ("01234", "0123456789ab"),
        ("0123FFFF", "0123ffffffff"),
        ("77e8", "aaaaaaaa-77e8e942"),
        ("aaaaaaaa-1", "aaaaaaaa-11112222"),
        ("/store/tokens/aaaaaaaa-77e8e942/", "aaaaaaaa-77e8e942"),
    ],
)
def test_an_artifact_is_found_by_how_its_key_begins(called: str, key: str) -> None:
    assert find_artifact(called, STORE).key == key


@pytest.mark.parametrize(
    ("called", "message"),
    [
        ("0123", "0123: 2 keys begin so; give more of one: 01234567, 0123ffff"),
        ("aaaa", "aaaa: 2 keys begin so; give more of one: 77e8e942, 11112222"),
        ("0123456x", "0123456x: no artifact has this key; did you mean 01234567?"),
        ("zzz", "zzz: no artifact has this key; the newest: 01234567, 0123ffff, 77e8e942 and 1 more"),
    ],
)
def test_a_key_that_is_not_one_artifact_s_is_an_error(called: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_artifact(called, STORE)
    assert str(caught.value) == message


def test_in_an_empty_store_no_key_is_found() -> None:
    with pytest.raises(ConfigError, match=r"no artifact has this key \(nothing is prepared yet\)"):
        find_artifact("0123", [])
