"""What tells whether there is anything new to train on."""

import json
import subprocess
import sys
from pathlib import Path

import fsspec  # type: ignore[import-untyped]
import pytest

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError, DataError
from opensloth_core.retrain.fingerprint import SourceFingerprint, source_fingerprint
from opensloth_core.retrain.settings import retraining_config

JUDGED_BY = {"min_improvement": 0.01, "warm_start": False}


def rows(*numbers: int) -> str:
    return "".join(json.dumps({"question": f"Q{n}?", "answer": "A."}) + "\n" for n in numbers)


def found(*sources: object, **settings: object) -> SourceFingerprint:
    given = {"data": list(map(str, sources)), "model": "m", "eval_size": 0.1, **settings}
    return source_fingerprint(OpenSlothConfig.of(given), JUDGED_BY)


@pytest.fixture
def source(tmp_path: Path, home: Path) -> Path:
    path = tmp_path / "data" / "a.jsonl"
    path.parent.mkdir()
    path.write_text(rows(1, 2))
    return path


def test_the_content_decides_and_no_name_or_time(source: Path) -> None:
    before = found(source)
    source.touch()
    assert found(source) == before
    renamed = source.rename(source.with_name("b.jsonl"))
    assert found(renamed).is_same(before)
    renamed.write_text(rows(1, 3))  # as long as before
    assert not found(renamed).is_same(before)


@pytest.mark.parametrize("pattern", ["", "/*.jsonl", "/**/*.jsonl"])
def test_a_file_that_lands_in_a_folder_or_under_a_glob_is_new(source: Path, pattern: str) -> None:
    place = f"{source.parent}{pattern}"
    before = found(place)
    assert found(place).is_same(before)
    (source.parent / "z.jsonl").write_text(rows(3))
    after = found(place)
    assert not after.is_same(before) and (before.num_files, after.num_files) == (1, 2)


def test_an_object_that_lands_under_a_remote_prefix_is_new(home: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/watched/a.jsonl", rows(1).encode())
    before = found("memory://watched")
    assert found("memory://watched").is_same(before)
    memory.pipe("/watched/b.jsonl", rows(2).encode())
    assert not found("memory://watched").is_same(before)
    memory.rm("/watched", recursive=True)


def test_settings_that_shape_or_judge_the_model_count_and_others_do_not(source: Path) -> None:
    before = found(source)
    assert found(source, gpus=1, training={"save_steps": 7}).is_same(before)
    assert not found(source, training={"learning_rate": 0.5}).is_same(before)
    assert not found(source, eval_size=0.2).is_same(before)
    config = OpenSlothConfig.of({"data": str(source), "model": "m", "eval_size": 0.1})
    assert not source_fingerprint(config, {**JUDGED_BY, "min_improvement": 0.5}).is_same(before)


def test_another_reward_under_the_same_name_is_new(
    source: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_home, installed = home / "rewards" / "mine.py", tmp_path / "site" / "bought" / "rewards.py"
    for path in (in_home, installed):
        path.parent.mkdir(parents=True)
        path.write_text("raise AssertionError('it is looked at, and not run')\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("OPENSLOTH_REWARD_MODULES", "bought")

    def now() -> SourceFingerprint:
        return found(source, method="grpo", grpo={"reward": "mine:polite,bought.rewards:short=0.5,length"})

    before = now()
    assert now() == before
    for path in (in_home, installed):
        path.write_text(path.read_text() + "\n")
        after = now()
        assert not after.is_same(before) and after.data == before.data
        before = after


def test_it_is_read_back_from_what_is_kept_and_nothing_else_is(source: Path) -> None:
    before = found(source, seed=7)
    read = SourceFingerprint.parse(str(before))
    assert read is not None and before.is_same(read) and read.held_out == before.held_out
    assert read.held_out == "0.1 of seed 7, prompts of sft"
    earlier = SourceFingerprint.parse("data ab12 settings cd34 held-out 0.1 of seed 42")
    assert earlier is not None and earlier.held_out == "0.1 of seed 42"
    assert SourceFingerprint.parse(None) is None
    assert SourceFingerprint.parse("sha256:abc") is None


def test_what_is_held_out_depends_on_which_column_is_the_prompt(source: Path) -> None:
    mapped = found(source, map=["question=answer", "answer=question"])
    assert mapped.held_out == '0.1 of seed 42, prompts of sft by {"answer": "question", "question": "answer"}'
    assert SourceFingerprint.parse(str(mapped)) == SourceFingerprint(
        mapped.data, mapped.settings, mapped.held_out
    )
    odd = found(source, map=["question=a\nb"])
    read = SourceFingerprint.parse(str(odd))
    assert read is not None and read.held_out == odd.held_out
    assert found(source, training={"learning_rate": 0.5}).held_out == found(source).held_out


def test_a_missing_source_is_an_error_and_not_nothing_new(source: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        found(source.with_name("c.jsonl"))


def test_looking_imports_no_torch(source: Path) -> None:
    program = (
        "import sys; from opensloth_core.config.opensloth import OpenSlothConfig;"
        "from opensloth_core.retrain.fingerprint import source_fingerprint;"
        f"given = {{'data': {str(source)!r}, 'model': 'm', 'eval_size': 0.1}};"
        "source_fingerprint(OpenSlothConfig.of(given), {});"
        "print([m for m in ('torch', 'transformers', 'datasets', 'prefect') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_tenth_is_held_out_unless_a_share_is_given() -> None:
    given = {"data": "a.jsonl", "model": "m"}
    assert retraining_config(OpenSlothConfig.of(given)).eval_size == 0.1
    assert retraining_config(OpenSlothConfig.of({**given, "eval_size": "25%"})).eval_size == 0.25


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"eval_size": 500}, "eval_size 500: of a number of rows, which ones changes as data grows"),
        ({"finetuning_type": "full"}, "finetuning_type full: retraining compares adapters"),
        ({"output": "out"}, "output out: has no meaning for retraining"),
        ({"pretrained_lora": "a"}, "pretrained_lora a: has no meaning for retraining"),
        ({"prepared": "ab12"}, "prepared ab12: has no meaning for retraining"),
    ],
)
def test_what_cannot_be_compared_is_refused(given: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        retraining_config(OpenSlothConfig.of({"data": "a.jsonl", "model": "m", **given}))
    assert str(caught.value).startswith(told)
