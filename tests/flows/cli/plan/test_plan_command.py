"""`os-train plan` and `--dry-run` as they are typed and printed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows.cli.main import main
from flows.cli.os_train import OS_TRAIN
from opensloth_core.config.opensloth import OpenSlothConfig


@pytest.fixture
def words(chat_data: Path, tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return ["sft", str(chat_data), "-m", str(tiny_model_dir), "--gpus", "1", "--max-seq-length", "192"]


def test_both_spellings_print_the_same_in_80_columns_and_write_nothing(
    words: list[str], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(OS_TRAIN, [*words, "--dry-run"]) == 0
    first = capsys.readouterr().out
    assert main(OS_TRAIN, ["plan", *words]) == 0
    # Between the two, what is free of disk and memory changes.
    heads = [[line[:20] for line in text.splitlines()] for text in (first, capsys.readouterr().out)]
    assert len(heads[0]) == len(heads[1])
    assert not home.exists()
    lines = first.splitlines()
    assert lines[0] == "sft · tiny-llama · colours · 1 GPU"
    assert "Rows     ~40 read, ~40 trained on (~ estimated from all 40 rows)" in lines
    assert lines[-1] == "Would run."
    assert any(
        line.startswith("Batch    2 packs x 1 micro-batch x 1 process = 2 packs a step") for line in lines
    )
    assert "  max_seq_length  192  (2048)" in lines
    long = [line for line in lines if len(line) > 80 and "/" not in line]
    assert long == []


def test_json_has_every_setting_and_the_terms_of_the_memory(
    words: list[str], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(OS_TRAIN, [*words, "--dry-run", "--json", "--preset", "auto"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["would_run"] and told["problems"] == []
    assert told["preset"] == "preset auto: none, since there is no GPU whose memory could be too small"
    assert told["settings"]["training.warmup_ratio"] == 0.05
    memory = told["memory"]
    total, _ = memory.pop("total"), memory.pop("device")
    assert sum(memory.values()) == total
    assert told["data"]["hit"] is False
    assert told["rows_and_tokens"]["rows"] == 40


def test_what_is_wrong_is_listed_in_flags_and_the_exit_code_is_2(
    words: list[str], home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").touch()
    wrong = [*words, "--output", str(tmp_path / "taken"), "--finetuning-type", "qlora"]
    assert main(OS_TRAIN, ["plan", *wrong, "--json"]) == 2
    problems = [
        "--finetuning-type qlora: 4-bit training needs a GPU; use lora",
        f"--output {tmp_path / 'taken'}: exists and is not a folder",
    ]
    assert json.loads(capsys.readouterr().out)["problems"] == problems
    # The command itself says the same, and leaves nothing behind.
    assert main(OS_TRAIN, wrong) == 2
    listed = [f"- {problem}" for problem in problems]
    assert capsys.readouterr().err.splitlines() == ["os-train: 2 problems", *listed]
    assert not home.exists()


def test_what_cannot_be_told_yet_is_neither_yes_nor_no(
    words: list[str],
    home: Path,
    tiny_model_dir: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As of a hub model whose configuration alone is in the cache."""

    @contextmanager
    def unknown(config: OpenSlothConfig, say: object) -> Iterator[tuple[OpenSlothConfig, None]]:
        yield config, None

    monkeypatch.setattr("opensloth_core.plan.plan.described_model", unknown)
    assert main(OS_TRAIN, [*words, "--dry-run"]) == 3
    lines = capsys.readouterr().out.splitlines()
    assert "Rows     40 read" in lines
    assert lines[-1] == ("Cannot tell yet: the model's tokenizer is not here yet, so no row could be tried.")
    assert main(OS_TRAIN, [*words, "--dry-run", "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["would_run"] is None and told["rows_and_tokens"] == {"rows": 40, "sampled_rows": 40}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--dry-run", "--quiet"], "--dry-run: tells what this command would do here, at once; drop --quiet"),
        (["--dry-run", "--tmux"], "--dry-run: tells what this command would do here, at once; drop --tmux"),
        (["--dry-run", "--resume", "auto"], "--dry-run: tells what a new run would do; "),
        (
            ["--dry-run", "--remote"],
            "--dry-run: tells what this command would do here, at once; ",
        ),
        (["--remote", "--preset", "auto"], "preset auto: goes by the GPUs of this machine; "),
    ],
)
def test_flags_that_would_have_no_effect_are_refused(
    flags: list[str], message: str, words: list[str], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(OS_TRAIN, [*words, *flags]) == 2
    assert message in capsys.readouterr().err


def test_preparing_data_takes_no_preset_by_memory(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    from flows.cli.os_data import OS_DATA

    assert main(OS_DATA, [*words[1:], "--preset", "auto"]) == 2
    assert "preset auto: goes by the memory that training takes" in capsys.readouterr().err
