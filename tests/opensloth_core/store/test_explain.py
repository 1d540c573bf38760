"""Why data would be found or not: each change of a command or its input is named, and only that."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.chunk import RawChunk
from opensloth_core.errors import DataError
from opensloth_core.store.artifact import MANIFEST
from opensloth_core.store.catalog import catalog
from opensloth_core.store.explain import Explanation, TokensFound, explain
from opensloth_core.store.removal import remove

Prepare = Callable[..., dict[str, bytes]]

NUM_ROWS = 120


@pytest.fixture
def prepared(
    config: DatasetPrepConfig, prepared_files: Prepare, small_chunks: list[RawChunk]
) -> DatasetPrepConfig:
    """120 rows in several chunks, prepared for two GPUs."""
    write(config, rows(range(NUM_ROWS)))
    prepared_files(config)
    return config


def rows(numbers: range, word: str = "is") -> list[str]:
    return [json.dumps({"question": f"What {word} {n}?", "answer": f"It is {n}."}) + "\n" for n in numbers]


def write(config: DatasetPrepConfig, lines: list[str]) -> None:
    Path(config.data[0]).write_text("".join(lines))


def asked(config: DatasetPrepConfig, num_shards: int = 2, **changes: object) -> Explanation:
    config = config.model_copy(update=changes)
    return explain(config, Path(config.model), num_shards)


def texts(explanation: Explanation) -> list[str]:
    return [difference.text for difference in explanation.differences]


def test_the_same_command_is_a_hit(prepared: DatasetPrepConfig) -> None:
    explanation = asked(prepared)
    assert explanation.found is not None and explanation.found.key == explanation.key.digest
    assert (explanation.nearest, explanation.differences, explanation.tokens) == (None, (), None)


def test_an_empty_store_is_a_miss_of_everything(config: DatasetPrepConfig) -> None:
    explanation = asked(config)
    assert (explanation.found, explanation.nearest) == (None, None)
    assert explanation.tokens == TokensFound("none")


def test_another_number_of_gpus_is_named_and_reuses_the_tokens(prepared: DatasetPrepConfig) -> None:
    explanation = asked(prepared, num_shards=1)
    assert texts(explanation) == ["GPU count: 1, was 2 (tokens are reused)"]
    assert explanation.input_change is None
    assert explanation.tokens == TokensFound("all")


def test_settings_that_decide_rows_are_named(prepared: DatasetPrepConfig) -> None:
    explanation = asked(prepared, max_seq_length=256, eval_size=0.1)
    assert texts(explanation) == [
        "max_seq_length: 256, was 128 (tokens are reused)",
        "eval_size: 0.1 with seed 42, was none (tokens are reused)",
    ]


def test_settings_that_decide_tokens_are_named_and_reuse_none(prepared: DatasetPrepConfig) -> None:
    explanation = asked(prepared, train_on="all")
    assert texts(explanation) == ["train_on: all, was assistant"]
    assert explanation.tokens is not None and explanation.tokens.state == "none"


def test_another_chat_template_is_told_by_its_digest(prepared: DatasetPrepConfig) -> None:
    path = Path(prepared.model) / "chat_template.jinja"
    before = asked(prepared).key.parts["tokenizer: chat_template.jinja"]
    path.write_text(path.read_text() + "{# new #}")
    explanation = asked(prepared)
    now = explanation.key.parts["tokenizer: chat_template.jinja"]
    assert texts(explanation) == [f"tokenizer: chat template differs: {now[:6]}… was {before[:6]}…"]
    assert explanation.input_change is None


def test_a_file_of_the_tokenizer_that_comes_or_goes_is_named(prepared: DatasetPrepConfig) -> None:
    (Path(prepared.model) / "special_tokens_map.json").write_text("{}")
    (text,) = texts(asked(prepared))
    assert text.startswith("tokenizer: special_tokens_map.json: ") and text.endswith("…, there was none")


def test_another_version_of_the_code_is_named(
    prepared: DatasetPrepConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opensloth_core.data.version import preparation_digest

    other = {**preparation_digest(), "code": "0" * 64, "transformers": "5.16.0"}
    now = preparation_digest()["transformers"]
    monkeypatch.setattr("opensloth_core.store.prepared.preparation_digest", lambda: other)
    first, second = texts(asked(prepared))
    assert first.startswith("code: what prepares data differs: 000000… was ")
    assert second == f"transformers: 5.16.0, was {now}"


def test_appended_rows_are_counted_and_the_others_tokens_reused(prepared: DatasetPrepConfig) -> None:
    write(prepared, rows(range(NUM_ROWS + 47)))
    explanation = asked(prepared)
    change = explanation.input_change
    assert change is not None and change.files is not None
    (file,) = change.files
    assert (file.fate, file.rows, file.rows_before) == ("appended", 167, 120)
    assert texts(explanation) == []
    tokens = explanation.tokens
    assert tokens is not None and (tokens.state, tokens.rows) == ("some", 167)
    assert 0 < tokens.rows_reused <= 120


def test_the_rows_said_to_be_reused_are_those_that_are_not_tokenized(
    prepared: DatasetPrepConfig, prepared_files: Prepare, small_chunks: list[RawChunk]
) -> None:
    write(prepared, [*rows(range(50)), *rows(range(50, 52), "was"), *rows(range(52, NUM_ROWS + 30))])
    tokens = asked(prepared).tokens
    small_chunks.clear()
    prepared_files(prepared)
    tokenized = sum(len(chunk.rows) for chunk in small_chunks)
    assert tokens is not None and tokens.rows is not None
    assert tokens.rows - tokens.rows_reused == tokenized < 150


def test_edited_rows_are_told_by_their_chunks(prepared: DatasetPrepConfig) -> None:
    write(prepared, [*rows(range(60)), *rows(range(60, 61), "was"), *rows(range(61, NUM_ROWS))])
    change = asked(prepared).input_change
    assert change is not None and change.files is not None
    (file,) = change.files
    assert (file.fate, file.rows, file.rows_before) == ("changed", 120, 120)
    assert 1 <= file.num_chunks_differing <= 2 < file.num_chunks
    assert 1 <= file.rows_in_them < 120


def test_appending_and_another_setting_are_both_named(prepared: DatasetPrepConfig) -> None:
    write(prepared, rows(range(NUM_ROWS + 47)))
    explanation = asked(prepared, num_shards=4)
    assert texts(explanation) == ["GPU count: 4, was 2 (tokens are reused)"]
    assert explanation.input_change is not None


def test_a_renamed_file_that_grew_is_still_recognised(prepared: DatasetPrepConfig, tmp_path: Path) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text("".join(rows(range(NUM_ROWS + 1))))
    change = asked(prepared, data=(str(path),)).input_change
    assert change is not None and change.files is not None
    assert change.files[0].fate == "appended"


def test_a_second_file_is_named(prepared: DatasetPrepConfig, tmp_path: Path) -> None:
    path = tmp_path / "more.jsonl"
    path.write_text("".join(rows(range(500, 510))))
    change = asked(prepared, data=(*prepared.data, str(path))).input_change
    assert change is not None and change.files is not None
    assert [(one.file, one.fate, one.rows) for one in change.files] == [
        ("train.jsonl", "unchanged", 120),
        ("more.jsonl", "added", 10),
    ]


def test_without_the_tokens_of_then_only_numbers_of_rows_are_told(prepared: DatasetPrepConfig) -> None:
    remove([one for one in catalog() if one.kind == "tokens"])
    write(prepared, rows(range(NUM_ROWS + 47)))
    change = asked(prepared).input_change
    assert change is not None
    assert (change.files, change.rows, change.rows_before) == (None, 167, 120)


def test_data_of_other_rows_is_not_the_nearest(prepared: DatasetPrepConfig, tmp_path: Path) -> None:
    path = tmp_path / "unrelated.jsonl"
    path.write_text("".join(rows(range(7000, 7100), "about")))
    explanation = asked(prepared, data=(str(path),))
    assert (explanation.nearest, explanation.input_change) == (None, None)
    assert explanation.tokens == TokensFound("none", rows=100, rows_reused=0)


def test_the_nearest_is_of_the_same_rows_however_many_settings_differ(
    prepared: DatasetPrepConfig, prepared_files: Prepare, tmp_path: Path
) -> None:
    other = tmp_path / "train2.jsonl"
    other.write_text("".join(rows(range(NUM_ROWS + 40))))
    prepared_files(prepared.model_copy(update={"data": (str(other),)}), num_shards=1)
    explanation = asked(prepared, num_shards=1, max_seq_length=256)
    assert explanation.nearest is not None and explanation.nearest.parts["GPU count"] == "2"
    assert [one.part for one in explanation.differences] == ["GPU count", "max_seq_length"]


def test_the_nearest_has_most_rows_in_common_before_fewest_settings_differing(
    prepared: DatasetPrepConfig, prepared_files: Prepare, tmp_path: Path
) -> None:
    few = tmp_path / "few.jsonl"
    few.write_text("".join(rows(range(40))))
    prepared_files(prepared.model_copy(update={"data": (str(few),)}), num_shards=1)
    write(prepared, rows(range(NUM_ROWS + 20)))
    explanation = asked(prepared, num_shards=1)
    assert explanation.nearest is not None and explanation.nearest.parts["GPU count"] == "2"


def test_damaged_data_of_the_very_key_is_the_reason(prepared: DatasetPrepConfig) -> None:
    key = asked(prepared).key.digest
    (own,) = [one for one in catalog() if one.key == key]
    (own.folder / "units.arrow").unlink()
    explanation = asked(prepared)
    assert (explanation.found, explanation.problem) == (None, "units.arrow is missing")
    assert explanation.tokens == TokensFound("all")


def test_damaged_tokens_are_not_reused(prepared: DatasetPrepConfig) -> None:
    (tokens,) = [one for one in catalog() if one.kind == "tokens"]
    (tokens.folder / MANIFEST).unlink()
    explanation = asked(prepared, num_shards=1)
    assert texts(explanation) == ["GPU count: 1, was 2"]
    assert explanation.tokens == TokensFound("none")


def test_a_sample_says_that_its_rows_are_drawn_later(
    prepared: DatasetPrepConfig, prepared_files: Prepare
) -> None:
    assert asked(prepared, samples=10).tokens == TokensFound("all")
    write(prepared, rows(range(NUM_ROWS + 5)))
    explanation = asked(prepared, samples=10)
    assert texts(explanation) == ["samples: 10 from random with seed 42, was all"]
    assert explanation.tokens == TokensFound("unknown")


def test_tokens_of_a_sample_are_not_taken_for_those_of_all_rows(
    config: DatasetPrepConfig, prepared_files: Prepare, small_chunks: list[RawChunk]
) -> None:
    write(config, rows(range(NUM_ROWS)))
    prepared_files(config.model_copy(update={"samples": 5}))
    explanation = asked(config)
    assert texts(explanation)[0].startswith("samples: all, was 5 from random with seed 42")
    tokens = explanation.tokens
    assert tokens is not None and tokens.rows == NUM_ROWS and tokens.state != "all"
    small_chunks.clear()
    prepared_files(config)
    # Rows of the sample that happen to follow one another are a chunk of all rows, too.
    assert tokens.rows_reused == NUM_ROWS - sum(len(chunk.rows) for chunk in small_chunks)


def test_input_that_is_not_there_is_an_error(prepared: DatasetPrepConfig) -> None:
    with pytest.raises(DataError, match=r"nothing\.jsonl: no such file"):
        asked(prepared, data=("nothing.jsonl",))


def test_nothing_is_written_by_asking(prepared: DatasetPrepConfig, home: Path) -> None:
    before = {
        path: path.stat().st_mtime_ns for path in (home / "store").rglob("*") if "digests" not in str(path)
    }
    write(prepared, rows(range(NUM_ROWS + 47)))
    asked(prepared)
    after = {
        path: path.stat().st_mtime_ns for path in (home / "store").rglob("*") if "digests" not in str(path)
    }
    assert after == before
