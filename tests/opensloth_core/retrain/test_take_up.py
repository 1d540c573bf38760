"""What a firing takes over from one that was killed."""

import json
from pathlib import Path

import pytest

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.data.ledger import Ledger
from opensloth_core.errors import ConfigError
from opensloth_core.registry.records import PromotionRecord, Version, VersionManifest
from opensloth_core.retrain.compared import check_comparable, earlier_rows
from opensloth_core.retrain.fingerprint import SourceFingerprint
from opensloth_core.retrain.settings import with_adapter
from opensloth_core.retrain.take_up import unjudged_run
from opensloth_core.retrain.workspace import Finished, Workspace
from opensloth_core.store.artifact import commit, staging
from opensloth_core.store.prepared import PreparedManifest, prepared_dir

FOUND = SourceFingerprint("ab12", "cd34", "0.1 of seed 42, prompts of sft")


def test_a_run_is_remembered_until_it_is_judged(home: Path) -> None:
    workspace = Workspace("support-bot")
    assert workspace.finished() is None
    finished = Finished("sft-tiny", str(FOUND), "0001-ab12")
    workspace.note_finished(finished)
    assert Workspace("support-bot").finished() == finished
    assert Workspace("another").finished() is None
    workspace.forget_finished()
    assert workspace.finished() is None


def test_a_damaged_note_costs_a_training_and_no_error(home: Path) -> None:
    workspace = Workspace("support-bot")
    workspace.note_finished(Finished("sft-tiny", str(FOUND), None))
    (workspace.path / "finished.json").write_text("{")
    assert workspace.finished() is None


@pytest.mark.parametrize(
    ("fingerprint", "replacing"),
    [
        (SourceFingerprint("ffff", "cd34", "0.1 of seed 42"), "0001-ab12"),  # the data has grown meanwhile
        (FOUND, "0002-cd34"),  # another version is in use by now
        (FOUND, "0001-ab12"),  # the run is gone
    ],
)
def test_a_run_of_another_source_or_against_another_version_is_not_taken(
    home: Path, fingerprint: SourceFingerprint, replacing: str
) -> None:
    workspace = Workspace("support-bot")
    workspace.note_finished(Finished("sft-tiny", str(FOUND), "0001-ab12"))
    assert unjudged_run(workspace, fingerprint, replacing) is None


def version(**record: object) -> Version:
    given = {"run": "sft-1", "method": "sft", "base_model": "embedded", "time": 1.0, **record}
    promotion = PromotionRecord.model_validate(given)
    manifest = VersionManifest(files={}, id="0001-ab12", record=promotion, created=1.0)
    return Version.of(manifest, "somewhere", None)


CONFIG = OpenSlothConfig.of({"data": "a.jsonl", "model": "embedded", "eval_size": 0.1})


@pytest.mark.parametrize(
    ("held_out", "is_comparable"),
    [
        ("0.1 of seed 42, prompts of sft", True),
        ("0.1 of seed 42", True),  # an earlier one, of the same method and, as far as is known, map
        ("0.1 of seed 7", False),
        ("0.2 of seed 42, prompts of sft", False),
        ("0.1 of seed 42, prompts of grpo", False),
        ('0.1 of seed 42, prompts of sft by {"messages": "talk"}', False),
    ],
)
def test_a_version_that_may_have_seen_what_is_held_out_now_is_not_compared(
    home: Path, held_out: str, is_comparable: bool
) -> None:
    made = version(source_fingerprint=f"data 1 settings 2 held-out {held_out}")
    if is_comparable:
        check_comparable(made, CONFIG, FOUND, warm_start=True)
        return
    with pytest.raises(ConfigError, match="seed, method and map as they were, or another name"):
        check_comparable(made, CONFIG, FOUND, warm_start=False)


def test_the_map_of_an_earlier_version_is_that_of_its_data(home: Path) -> None:
    nothing = dict.fromkeys(("rows_read", "rows_kept", "rows_not_sampled", "examples", "packs", "cells"), 0)
    nothing |= dict.fromkeys(("tokens_in", "tokens_trained", "tokens_masked", "tokens_dropped", "padding"), 0)
    ledger = Ledger.of({**nothing, "rows_rejected": {}, "pack_length": None, "max_seq_length": 1})
    mapped = CONFIG.model_copy(update={"map": {"messages": "talk"}}).preparation
    with staging(prepared_dir("0" * 32)) as folder:
        manifest = PreparedManifest(
            files={},
            key="0" * 32,
            parts={},
            preparation=mapped.model_dump(mode="json"),
            shards=(),
            ledger=ledger,
            created=1.0,
        )
        commit(folder, prepared_dir("0" * 32), manifest)
    earlier = "data 1 settings 2 held-out 0.1 of seed 42"
    with pytest.raises(ConfigError, match=r"was made with 0\.1 of seed 42, prompts of sft by .* held out"):
        check_comparable(version(source_fingerprint=earlier, prepared_key="0" * 32), CONFIG, FOUND, False)


def test_what_may_have_seen_held_out_rows_is_not_gone_on_with(home: Path) -> None:
    """Its next version would be one of retraining, and nobody could tell any more."""
    by_hand = version()
    check_comparable(by_hand, CONFIG, FOUND, warm_start=False)
    with pytest.raises(ConfigError, match="warm_start: version 0001-ab12 was not made by retraining"):
        check_comparable(by_hand, CONFIG, FOUND, warm_start=True)


def test_a_version_of_another_base_model_is_not_compared(home: Path) -> None:
    with pytest.raises(ConfigError, match="version 0001-ab12 is an adapter of org/other"):
        check_comparable(version(base_model="org/other"), CONFIG, FOUND, False)


def test_what_cannot_be_said_of_a_version_made_by_hand_is_told(home: Path) -> None:
    said: list[str] = []
    assert earlier_rows(None, said.append) is None
    assert not said
    assert earlier_rows(version(), said.append) is None
    assert "may have been trained on rows that are held out now" in said.pop()
    made = version(source_fingerprint=str(FOUND), prepared_key="0" * 32)
    assert earlier_rows(made, said.append) is None
    assert "only the rows that are held out now are compared" in said.pop()


def test_the_promoted_adapter_takes_the_place_of_one_that_is_given_as_model(tmp_path: Path) -> None:
    assert with_adapter(CONFIG, None) is CONFIG
    promoted = tmp_path / "promoted"
    assert with_adapter(CONFIG, promoted) == CONFIG.model_copy(update={"pretrained_lora": promoted})
    first = tmp_path / "first"
    first.mkdir()
    (first / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "r": 1, "base_model_name_or_path": "embedded"})
    )
    (first / "adapter_model.safetensors").write_bytes(b"")
    from_adapter = CONFIG.model_copy(update={"model": str(first)})
    assert with_adapter(from_adapter, promoted) == with_adapter(CONFIG, promoted)
