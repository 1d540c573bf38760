"""What a registry promises, wherever it is kept: a folder, memory, or a real S3 server."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from opensloth_core.errors import ConfigError, ModelError, StoreError
from opensloth_core.registry.judgements import MAX_JUDGEMENTS, newest, read_judgements, written
from opensloth_core.registry.model_registry import Registry, open_registry
from opensloth_core.store.artifact import MANIFEST
from tests.opensloth_core.registry.adapters import FILES, marks, record
from tests.opensloth_core.registry.process import QUICK

MakeAdapterDir = Callable[[int], Path]


def numbers(registry: Registry) -> list[int]:
    return [int(version.id[:4]) for version in registry.versions()]


def test_the_last_k_are_kept_and_rolled_back_to_one_after_the_other(registry: Registry, promote) -> None:
    assert registry.current() is None and registry.versions() == [] and registry.judged() is None
    with registry.lock():
        for mark in range(1, 6):
            version = promote(mark, keep=3)
            assert registry.current() == version
    assert numbers(registry) == [5, 4, 3]
    assert [registry.rollback().record.run for _ in range(2)] == ["run-4", "run-3"]
    current = registry.current()
    assert current is not None and marks(registry.local_dir(current)) == {3}
    with pytest.raises(ConfigError, match=r"0003-.* replaced 0002-.*, which is not kept any more; others"):
        registry.rollback()
    assert registry.rollback("0005").id == version.id
    # What was refused or rolled back is not gone back to: the next one replaced the current one.
    registry.rollback("0003")
    assert promote(6, keep=1).replaced == current.id
    assert numbers(registry) == [6, 3]
    with pytest.raises(StoreError, match=r"0005-.*removed"):
        registry.local_dir(version)


def test_a_rollback_to_nothing_says_what_there_is(registry: Registry, promote) -> None:
    with pytest.raises(ConfigError, match="nothing was ever promoted"):
        registry.rollback()
    first = promote(1)
    with pytest.raises(ConfigError, match="was the first; no other version is kept"):
        registry.rollback()
    promote(2)
    for to, problem in (
        ("0002", "is the current version"),
        ("7", "no such version"),
        ("00", "2 versions begin"),
    ):
        with pytest.raises(ConfigError, match=rf"{problem}.*{first.id}"):
            registry.rollback(to)


def test_a_version_has_every_file_with_its_digest_and_says_how_it_came_to_be(registry, promote, root) -> None:
    version = promote(
        7, metric="loss", metrics_new={"loss": 0.5, "gap": math.nan}, metrics_old={"loss": 1.0}, why="better"
    )
    folder = registry.local_dir(version)
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        *FILES,
        MANIFEST,
    }
    assert version.record.old_and_new == (1.0, 0.5)
    assert version.record.metrics_new["gap"] is None
    again = open_registry("bot", root).current()
    assert again == version


def test_what_was_compared_with_another_version_is_not_promoted(registry, promote) -> None:
    first, second = promote(1), promote(2)
    with pytest.raises(StoreError, match=rf"compared with version {first.id}, but {second.id} is current"):
        promote(3, replacing=first.id)
    assert registry.current() == second and numbers(registry) == [2, 1]
    assert promote(4, replacing=second.id).replaced == second.id


def test_who_makes_a_version_keeps_others_from_it_but_not_from_rolling_back(registry, promote, root) -> None:
    first, _ = promote(1), promote(2)
    other = open_registry("bot", root, timing=QUICK)
    with other.lock():
        with pytest.raises(ConfigError, match=r"bot: .*process \d+.* is making a new version of it; wait"):
            promote(3)
        assert registry.rollback() == first
        with pytest.raises(ConfigError, match="is making"):
            registry.remove_all()
    assert promote(4).replaced == first.id


def test_a_promotion_is_a_judgement_and_a_refusal_is_noted(registry, promote) -> None:
    promote(1, source_fingerprint="a")
    assert registry.judged().source_fingerprint == "a"
    refusal = record(2, source_fingerprint="b", promoted=False, why="worse")
    registry.note_judged(refusal)
    registry.note_judged(refusal)
    assert registry.judged() == refusal
    promote(3, source_fingerprint="c")
    registry.rollback()
    assert registry.judged().source_fingerprint == "c"


def test_what_was_refused_or_rolled_back_is_remembered_longer_than_its_version(registry, promote) -> None:
    def remembered() -> list[str | None]:
        return [one.source_fingerprint for one in registry.judgements()]

    promote(1, source_fingerprint="a")
    second = promote(2, source_fingerprint="b")
    assert remembered() == []
    registry.rollback()
    registry.note_judged(record(3, source_fingerprint="c", promoted=False))
    assert remembered() == ["c", "b"]
    third = promote(4, keep=1, source_fingerprint="d")
    assert second.id not in [version.id for version in registry.versions()]
    assert remembered() == ["c", "b"]  # and not what a better one replaced
    registry.rollback()
    assert remembered() == ["d", "c", "b"]
    registry.remove(third)
    assert remembered() == ["d", "c", "b"]
    registry.note_judged(record(6, source_fingerprint="c", promoted=False, why="again"))
    assert remembered() == ["c", "d", "b"] and registry.judged().why == "again"


def test_so_many_judgements_are_kept_and_the_one_of_an_earlier_version_is_read() -> None:
    many = [record(mark, source_fingerprint=f"f{mark}") for mark in range(MAX_JUDGEMENTS + 5)]
    kept = newest(many)
    assert len(kept) == MAX_JUDGEMENTS and kept[0] == many[-1] and many[5] in kept and many[4] not in kept
    assert read_judgements(written(kept), "judged.json") == kept
    assert read_judgements(many[0].model_dump_json(indent=2).encode(), "judged.json") == [many[0]]
    with pytest.raises(StoreError, match=r"judged.json: is damaged; remove it"):
        read_judgements(b"[{}", "judged.json")


def test_a_version_and_a_model_can_be_removed_but_not_what_is_current(registry, promote, root) -> None:
    first, second = promote(1), promote(2)
    with pytest.raises(ConfigError, match=f"{second.id} is the current version; roll back first"):
        registry.remove(second)
    registry.remove(first)
    assert numbers(registry) == [2]
    registry.remove_all()
    assert registry.current() is None and registry.versions() == []
    assert promote(3).id.startswith("0001-")


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "no adapter_model.safetensors"),
        (lambda folder: (folder / "adapter_config.json").unlink(), "neither an adapter nor a model"),
        (
            lambda folder: cut(folder / "adapter_model.safetensors"),
            r"not a whole safetensors file",
        ),
        (
            lambda folder: (folder / MANIFEST).write_text("{}"),
            "keeps its own file under this name",
        ),
        (lambda folder: (folder / "x").symlink_to(folder / "templates"), "x: is a link to a folder"),
    ],
)
def test_what_is_not_whole_is_not_promoted(
    home: Path, make_adapter_dir: MakeAdapterDir, spoil: Callable[[Path], object], problem: str
) -> None:
    registry, folder = open_registry("bot"), make_adapter_dir(1)
    spoil(folder)
    with pytest.raises(ModelError, match=problem):
        registry.promote(folder, record(1), keep=3)
    assert registry.versions() == []
    with pytest.raises(ModelError, match="is missing, not the folder of an adapter"):
        registry.promote(folder / "nowhere", record(1), keep=3)
    with pytest.raises(ConfigError, match="keep 0: at least 1"):
        registry.promote(make_adapter_dir(2), record(2), keep=0)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("name", "problem"),
    [("Bot", "lower-case"), ("a/b", "lower-case"), ("..", "lower-case"), ("a b", "lower-case"), ("", "lower")]
    + [(name, "means something else") for name in ("embedded", "merged-1f", "current", "v1", "a.lock")],
)
def test_confusing_names_are_refused(home: Path, name: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        open_registry(name)
    assert "\n" not in str(caught.value)


def test_a_promoted_version_can_be_promoted_under_another_name(home: Path, make_adapter_dir) -> None:
    registry = open_registry("bot")
    version = registry.promote(make_adapter_dir(1), record(1), keep=3)
    copy = open_registry("other").promote(registry.local_dir(version), record(1), keep=3)
    assert copy.manifest.files == version.manifest.files
    assert re.fullmatch(r"0001-[0-9a-f]{4}", copy.id)
    assert json.loads((Path(copy.location) / MANIFEST).read_text())["id"] == copy.id
