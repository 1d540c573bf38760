"""`os-train repro` and `runs resume`: what differs is said, and refusals are one line."""

import json
import os
import re
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.models.identity import model_identity
from opensloth_core.models.tiny import write_tiny_model
from opensloth_core.preflight import preflight
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.repeat import repetition
from opensloth_core.store.prepared import prepared_key
from opensloth_core.training.checkpoint.manifest import CheckpointManifest, MadeWith, Position


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model that a test may change, written a day ago."""
    folder = write_tiny_model(tmp_path / "tiny")
    for path in folder.iterdir():
        os.utime(path, (time.time() - 86400, time.time() - 86400))
    return folder


@pytest.fixture
def data(tmp_path: Path, chat_data: Path) -> Path:
    path = tmp_path / "colours.jsonl"
    path.write_bytes(chat_data.read_bytes())
    return path


@pytest.fixture
def ran(home: Path, model: Path, data: Path) -> RunDirectory:
    """The record of a run as it would be begun now."""
    config = OpenSlothConfig.of({"data": str(data), "model": str(model), "training": {"max_steps": 2}})
    run = RunDirectory.create(config)
    checked = preflight(config)
    key = prepared_key(config.preparation, checked.start.tokenizer_dir, len(checked.devices))
    run.write_launch(checked.start.launch(checked.devices, key.digest))
    run.lock_path.touch()
    run.events.write("prepared", key=key.digest, cached=False, seconds=1.0)
    run.events.write("versions", torch=version("torch"), trl=version("trl"))
    run.events.state("completed")
    return run


def said(typed, run: RunDirectory) -> list[str]:
    """What is said to differ."""
    code, out, err = typed(f"os-train repro {run.path.name} --dry-run")
    assert (code, err) == (0, "")
    first, *others = out.splitlines()
    assert first == f"would repeat {run.path.name}"
    return others


def test_nothing_differs_where_nothing_was_changed(ran, typed) -> None:
    assert said(typed, ran) == ["versions, devices, data and model are as they were"]


def test_other_versions_are_named(ran, typed) -> None:
    text = ran.events_path.read_text().replace(f'"trl": "{version("trl")}"', '"trl": "0.1"')
    ran.events_path.write_text(text)
    assert said(typed, ran) == [f"- trl {version('trl')}, was 0.1"]


def test_changed_data_is_named_by_its_key(ran, typed, data) -> None:
    data.write_text(data.read_text().replace("flag 7", "flag seven"))
    [line] = said(typed, ran)
    assert re.fullmatch(r"- data: key \w{12}, was \w{12}; that data is no longer kept", line)


def test_a_model_file_written_since_is_named(ran, typed, model) -> None:
    os.utime(model / "model.safetensors")
    [line] = said(typed, ran)
    assert line.startswith(f"- model: {model}/model.safetensors was written after the run began (")


def checkpoint(run: RunDirectory, model: str, parts: dict[str, str]) -> None:
    """A checkpoint of the run, of which nothing but the manifest counts here."""
    made = MadeWith(
        prepared_key=run.launch().prepared_key, prepared_parts=parts, model=model, device="cpu", world_size=1,
        batch_size=2, gradient_accumulation_steps=1, settings={}, versions={},
    )  # fmt: skip
    folder = run.checkpoints_dir / "step-000002"
    folder.mkdir(parents=True)
    position = Position(step=2, epoch=0.1, trained_tokens=10)
    manifest = CheckpointManifest(files={}, created=1.0, position=position, made_with=made)
    (folder / "manifest.json").write_text(manifest.model_dump_json())


def test_with_a_checkpoint_the_weights_themselves_are_compared(ran, typed, model, data) -> None:
    config = ran.config()
    key = prepared_key(config.preparation, model, 1)
    checkpoint(ran, model_identity(model), dict(key.parts))
    os.utime(model / "model.safetensors")
    assert said(typed, ran) == ["versions, devices, data and model are as they were"]
    write_tiny_model(model, seed=1)
    data.write_text(data.read_text().splitlines()[0] + "\n")
    lines = said(typed, ran)
    assert f"- model: the weights in {model} are not those of then" in lines
    assert any(line.startswith("- data: input") for line in lines)
    assert len(lines) == 2


def test_missing_data_is_one_line(ran, typed, data) -> None:
    data.unlink()
    code, out, err = typed(f"os-train repro {ran.path.name}")
    assert (code, out) == (2, "")
    assert err == f"os-train repro: {data}: no such file\n" or err.startswith(f"os-train repro: {data}")
    assert err.count("\n") == 1
    assert len(list(ran.path.parent.iterdir())) == 1


@pytest.mark.parametrize("command", ["repro", "runs resume"])
def test_a_run_that_goes_on_or_is_repeated_is_shown_as_others_are(command, ran, typed, data) -> None:
    ran.events.state("failed")
    data.unlink()
    code, out, err = typed(f"os-train {command} last --json")
    said = [json.loads(line) for line in out.splitlines()]
    assert [(one["kind"], one.get("exit_code")) for one in said] == [("error", None), ("end", 2)]
    assert str(data) in said[0]["text"] and code == 2
    assert err in ("", f"going on with {ran.path.name}\n")
    assert str(data) in typed(f"os-train {command} last -q")[2].splitlines()[0]
    assert "--quiet and --verbose: give one of the two" in typed(f"os-train {command} last -q -v")[2]


def test_what_differs_is_told_as_json_too(ran, typed) -> None:
    code, out, _ = typed("os-train repro last --dry-run --json")
    assert (code, json.loads(out)) == (0, {"run": ran.path.name, "differs": [], "left_out": []})
    assert (
        "--dry-run: says what differs, and runs nothing; drop --quiet"
        in typed("os-train repro last --dry-run -q")[2]
    )


def test_a_repetition_has_the_devices_and_batches_that_the_run_came_to(write_run) -> None:
    run = write_run(gpus="auto", output="/out")
    run.events.write("batch", batch_size=4, gradient_accumulation_steps=3, gradient_checkpointing=False)
    again = repetition(run)
    assert again.config.gpus == 2
    assert again.config.training.batch_size == 4
    assert again.config.training.gradient_accumulation_steps == 3
    assert again.config.output is None
    assert again.left_out == ("output /out: the copy of then stays",)


def test_a_run_whose_data_had_a_secret_in_its_address_is_refused(write_run) -> None:
    run = write_run(data="https://me:secret@host/a.jsonl")
    with pytest.raises(ConfigError, match=r"the record keeps no secrets of addresses"):
        repetition(run)


def test_a_preparation_is_neither_repeated_nor_resumed(write_run, typed) -> None:
    run = write_run()
    values = json.loads(run.config_path.read_text())
    for name in ("finetuning_type", "training"):
        del values[name]
    run.config_path.write_text(json.dumps(values))
    for command in ("repro", "runs resume"):
        code, out, err = typed(f"os-train {command} last")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "prepared data and trained nothing" in err


@pytest.mark.parametrize("command", ["repro", "runs resume"])
def test_a_run_whose_settings_are_damaged_is_one_line(command, write_run, typed) -> None:
    run = write_run(state="failed")
    run.config_path.write_text("{")
    code, out, err = typed(f"os-train {command} last")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{run.config_path}: cannot be read" in err
    assert typed("os-train runs show last")[0] == 0
    assert typed("os-train runs wait last")[0] == 1
    assert typed("os-train runs ls")[0] == 0


def test_resume_of_a_completed_run_says_what_the_training_command_says(ran, typed) -> None:
    code, _, err = typed("os-train runs resume last")
    assert code == 2
    assert f"run {ran.path.name}: is completed" in err
    assert err.count("\n") == 1
