"""Every setting of a preparation either changes the key, or is shown to change nothing.

A new field of `DatasetPrepConfig` fails the first test until it has a case here.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.store.prepared import prepared_key

Files = dict[str, bytes]
Prepare = Callable[..., Files]
Settings = Mapping[str, Any]

REPOSITORY = Path(__file__).parents[3]
DRAWN = {"samples": 20}

CHANGING: list[tuple[str, Settings, Settings]] = [
    ("data", {}, {"data": "edited.jsonl"}),
    ("data", {}, {"data": ["train.jsonl", "edited.jsonl"]}),
    ("model", {}, {"model": "other-model"}),
    ("method", {}, {"method": "grpo"}),
    ("gpus", {}, {"gpus": 3}),
    ("max_seq_length", {}, {"max_seq_length": 127}),
    ("overlong", {}, {"overlong": "truncate"}),
    ("split", {"data": "folder"}, {"split": "test"}),
    ("map", {}, {"map": {"question": "question", "answer": "note"}}),
    ("train_on", {}, {"train_on": "all"}),
    ("samples", {}, {"samples": 20}),
    ("samples", DRAWN, {"samples": 21}),
    ("samples_from", DRAWN, {"samples_from": "head"}),
    ("eval_size", {}, {"eval_size": 0.2}),
    ("eval_size", {"eval_size": 0.2}, {"eval_size": 0.1}),
    ("seed", DRAWN, {"seed": 7}),
    ("seed", {"eval_size": 0.2}, {"seed": 7}),
    ("max_rejected", {}, {"max_rejected": 0.5}),
]
"""Field, settings before, and what of them is changed: the key must change."""

INERT: list[tuple[str, Settings, Settings]] = [
    ("data", {}, {"data": "folder/train.jsonl"}),
    ("data", {}, {"data": ["./train.jsonl"]}),
    ("model", {}, {"model": "moved-model"}),
    ("gpus", {}, {"gpus": (4, 1)}),
    ("split", {"data": "folder"}, {"split": "train"}),
    ("seed", {}, {"seed": 7}),
    ("seed", {"samples": 20, "samples_from": "head"}, {"seed": 7}),
    ("data_output", {}, {"data_output": "exported"}),
    ("verify", {}, {"verify": True}),
]
"""The same, where the key must not change, nor a byte of what is prepared."""


def case_id(value: Any) -> str:
    return (
        value if isinstance(value, str) else ",".join(f"{name}={val}" for name, val in value.items()) or "-"
    )


@pytest.fixture(autouse=True)
def world(
    tmp_path: Path, byte_model_dir: Path, home: Path, quick_setup: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files that the settings name: rows of which some are unusable, and some too long."""
    monkeypatch.chdir(tmp_path)
    rows = [
        {"question": f"What is {n}?", "answer": f"It is {n}." if n % 9 else "", "note": "None." * (n % 40)}
        for n in range(60)
    ]
    rows[5]["answer"] = "It is. " * 40
    edited = [*rows[:30], {**rows[30], "answer": "It is something else."}, *rows[31:]]
    Path("folder").mkdir()
    for name, content in (
        ("train", rows),
        ("edited", edited),
        ("folder/train", rows),
        ("folder/test", edited),
    ):
        Path(f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
    for name in ("model", "other-model", "moved-model"):
        shutil.copytree(byte_model_dir, name)
    template = Path("other-model/chat_template.jinja")
    template.write_text(template.read_text().replace("<|im_end|>' + '\n'", "<|im_end|>'"))


def config(*settings: Settings) -> DatasetPrepConfig:
    values: dict[str, Any] = {
        "data": "train.jsonl",
        "model": "model",
        "gpus": 2,
        "max_seq_length": 128,
        "max_rejected": 0.4,
    }
    for changes in settings:
        values |= changes
    return DatasetPrepConfig.of(values)


def num_shards(config: DatasetPrepConfig) -> int:
    return config.gpus if isinstance(config.gpus, int) else len(config.gpus)


def key(config: DatasetPrepConfig) -> str:
    return prepared_key(config, Path(config.model), num_shards(config)).digest


def test_every_field_has_a_case() -> None:
    # That one names a key instead of deciding it: test_given.py.
    fields = set(DatasetPrepConfig.model_fields) - {"prepared"}
    assert {field for field, _, _ in [*CHANGING, *INERT]} == fields
    # Where it is exported and how it is checked change nothing whatever their values are.
    assert fields - {field for field, _, _ in CHANGING} == {"data_output", "verify"}


@pytest.mark.parametrize(("field", "before", "changes"), CHANGING, ids=case_id)
def test_a_setting_that_decides_something_changes_the_key(
    field: str, before: Settings, changes: Settings
) -> None:
    assert list(changes) == [field]
    assert key(config(before, changes)) != key(config(before))


@pytest.mark.parametrize(("field", "before", "changes"), INERT, ids=case_id)
def test_a_setting_that_keeps_the_key_changes_no_byte(
    field: str, before: Settings, changes: Settings, cold_files: Prepare
) -> None:
    assert list(changes) == [field]
    first, second = config(before), config(before, changes)
    assert key(first) == key(second)
    files = cold_files(first, num_shards(first))
    assert len(files) >= 5
    assert cold_files(second, num_shards(second)) == files


@pytest.mark.parametrize(
    ("field", "before", "changes"),
    [case for case in CHANGING if case[0] not in ("max_rejected", "model")],
    ids=case_id,
)
def test_what_changes_the_key_changes_what_is_prepared(
    field: str, before: Settings, changes: Settings, prepared_files: Prepare
) -> None:
    """Else a change of the setting would prepare the same data again."""
    first, second = config(before), config(before, changes)
    assert prepared_files(second, num_shards(second)) != prepared_files(first, num_shards(first))


PREPARE = """
import datetime, json, sys
from opensloth_core import run_prepare_data

prepared = run_prepare_data(json.loads(sys.argv[1]))
print(datetime.date.today(), prepared.manifest.key)
"""


@pytest.fixture
def western_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Time as it is at UTC-12."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "WEST+12")
        time.tzset()
        yield
    time.tzset()


def test_the_same_is_prepared_on_another_day_in_another_folder_by_another_process(
    tmp_path: Path, prepared_files: Prepare, western_time: None
) -> None:
    """The template asks for the date, as those of Llama 3 do; at UTC+14 it is always another one."""
    template = Path("model/chat_template.jinja")
    template.write_text("{{ strftime_now('%d %B %Y') }}\n" + template.read_text())
    settings = config({"eval_size": 10, "samples": 40})
    files, today = prepared_files(settings), date.today()

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("train.jsonl", "model"):
        Path(name).rename(elsewhere / name)
    done = subprocess.run(
        [sys.executable, "-c", PREPARE, settings.model_dump_json(exclude_none=True)],
        capture_output=True,
        text=True,
        cwd=elsewhere,
        env={
            **os.environ,
            "TZ": "EAST-14",
            "PYTHONPATH": str(REPOSITORY),
            "OPENSLOTH_HOME": str(elsewhere / "home"),
            "CUDA_VISIBLE_DEVICES": "0,1",
        },
        check=False,
    )
    assert done.returncode == 0, done.stderr
    day, found_key = done.stdout.split()
    assert day != str(today)
    folder = elsewhere / "home" / "store" / "prepared" / found_key
    assert {
        path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"
    } == files
