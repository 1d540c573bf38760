"""Which sources are not trained on again."""

from pathlib import Path

from opensloth_core.registry.model_registry import open_registry
from opensloth_core.registry.records import Version
from opensloth_core.retrain.already_judged import already_judged
from opensloth_core.retrain.fingerprint import SourceFingerprint
from tests.opensloth_core.registry.adapters import record, write_adapter


def source(data: str) -> SourceFingerprint:
    return SourceFingerprint(data, "cd34", "0.1 of seed 42, prompts of sft")


def test_a_rollback_holds_whatever_is_refused_afterwards_and_when_its_version_is_gone(
    home: Path, tmp_path: Path
) -> None:
    registry = open_registry("bot")

    def promote(mark: int, data: str) -> Version:
        adapter = write_adapter(tmp_path / f"adapter-{mark}", mark)
        return registry.promote(adapter, record(mark, source_fingerprint=str(source(data))), keep=3)

    first, second = promote(1, "a1"), promote(2, "b2")
    assert already_judged(registry, source("b2")) == f"nothing new since version {second.id}, which is in use"
    assert already_judged(registry, source("a1")) is None  # bad rows were taken back
    registry.rollback()
    assert already_judged(registry, source("a1")) == f"nothing new since version {first.id}, which is in use"
    rolled_back = "nothing new since run run-2, which was promoted, and is not in use any more"
    assert already_judged(registry, source("b2")) == rolled_back

    refusal = record(3, source_fingerprint=str(source("c3")), promoted=False, why="worse")
    registry.note_judged(refusal)
    assert already_judged(registry, source("b2")) == rolled_back
    assert (
        already_judged(registry, source("c3")) == "nothing new since run run-3, which was not promoted: worse"
    )
    registry.remove(second)
    assert already_judged(registry, source("b2")) == rolled_back
    promote(4, "d4")
    assert already_judged(registry, source("b2")) == rolled_back
    assert already_judged(registry, source("e5")) is None
