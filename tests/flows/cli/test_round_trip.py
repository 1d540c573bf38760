"""Whatever is set, by a flag, in a file or by a variable, is what the worker reads."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from flows.cli.command import Command
from flows.cli.flags import Flag
from flows.cli.os_data import PREPARE
from flows.cli.os_train import METHODS
from flows.cli.parser import accepted_spellings, parse_flags
from flows.cli.request import FinetuneRequest, RunSettings
from flows.cli.settings import SourceSettings
from flows.cli.shown import Shown
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.environment import variable
from opensloth_core.config.nest import flat_names, names_of, nested_settings
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.directory import RunDirectory
from tests.flows.cli.other_values import NEEDED, REQUIRED, REQUIRED_BY, other_values

COMMANDS = {**METHODS, "data": PREPARE}
APART = {*RunSettings.model_fields, "init_from", "prepared"}
"""How a run is driven is in no configuration, see below; --init-from becomes the model it stands for, and
--prepared has tests of its own."""

DRIVEN: dict[str, tuple[str, dict[str, object]]] = {
    "resume": ("--resume auto", {"resume": "auto"}),
    "allow_drift": ("--resume auto --allow-drift", {"resume": "auto", "allow_drift": True}),
    "remote": ("--remote", {"remote": True}),
    "detach": ("--remote --detach", {"remote": True, "detach": True}),
    "tmux": ("--tmux=mine", {"tmux": "mine"}),
    "attach": ("--tmux --attach", {"tmux": "auto", "attach": True}),
    "dry_run": ("--dry-run", {"plan": Shown()}),
    "quiet": ("-q", {"shown": Shown(quiet=True)}),
    "verbose": ("--verbose", {"shown": Shown(verbose=True)}),
    "as_json": ("--json", {"shown": Shown(as_json=True)}),
}
"""What each such flag, with those it needs, changes of a request."""

CASES = [
    pytest.param(name, flag, id=f"{name}-{flag.name}")
    for name, command in COMMANDS.items()
    for flag in command.flags
    if flag.name not in APART
]


COUNTS = (57, 156, {"sft": 58, "dpo": 60, "grpo": 64, "data": 24})


def test_how_many_settings_there_are() -> None:
    """The count that README and reports name."""
    names = {flag.name for command in COMMANDS.values() for flag in command.flags}
    leaves = {place[-1] for place in flat_names(OpenSlothConfig).values()}
    assert names - set(RunSettings.model_fields) == leaves
    flags = {name: len(command.flags) for name, command in COMMANDS.items()}
    assert (len(leaves), len(CASES), flags) == COUNTS


def worker_reads(command: Command, words: list[str], home: Path) -> DatasetPrepConfig:
    """The configuration that the process of a rank, or of a preparation, finds in its run directory."""
    settings = command.configure(parse_flags(command.flags, words))
    if isinstance(settings, FinetuneRequest):
        return RunDirectory(RunDirectory.create(settings.config).path).config()
    return RunDirectory(RunDirectory.create(settings.config).path).preparation()


def found(config: DatasetPrepConfig, flag: Flag) -> object:
    home: object = getattr(config, flag.group) if flag.group else config
    value = getattr(home, flag.name)
    return str(value) if isinstance(value, Path) else value


def required(name: str, *without: str) -> list[str]:
    """Flags without which there is no configuration."""
    given = {**REQUIRED, **REQUIRED_BY.get(name, {})}
    return [f"--{key.replace('_', '-')}={value}" for key, value in given.items() if key not in without]


def needed(flag: Flag) -> Mapping[str, str]:
    return NEEDED.get(flag.name, {})


def other(flag: Flag) -> tuple[str, object]:
    """A text, and what it becomes: neither the default nor what is required anyway."""
    return other_values(flag)[0]


def written(value: object) -> object:
    """A value as a person writes it in a file."""
    if isinstance(value, BaseModel):
        return value.model_dump()
    return [written(one) for one in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize(("name", "flag"), CASES)
def test_every_spelling_of_every_flag(name: str, flag: Flag, home: Path) -> None:
    default = worker_reads(
        COMMANDS[name], [*required(name), *(f"--{n}={v}" for n, v in needed(flag).items())], home
    )
    for spelling in accepted_spellings(flag) or [""]:
        text, expected = other(flag)
        if flag.is_switch:
            words, expected = [spelling], not spelling.startswith("--no-")
        else:
            words = [spelling, text] if spelling else [text]
        words += [f"--{n}={v}" for n, v in needed(flag).items()]
        config = worker_reads(COMMANDS[name], [*required(name, flag.name), *words], home)
        assert found(config, flag) == expected
        assert expected != found(default, flag) or expected is False


@pytest.mark.parametrize(("name", "flag"), CASES)
def test_every_key_of_a_file_flat_and_in_its_group(name: str, flag: Flag, home: Path, tmp_path: Path) -> None:
    text, expected = other(flag)
    kind = nested_settings(OpenSlothConfig)[flag.group] if flag.group else OpenSlothConfig
    path = tmp_path / "run.yaml"
    for alias in names_of(kind, flag.name):
        for value in (text, written(expected)):
            forms = [{alias: value}] + ([{flag.group: {alias: value}}] if flag.group else [])
            for settings in forms:
                path.write_text(yaml.safe_dump({**settings, **needed(flag)}))
                words = [*required(name, flag.name), "--config", str(path)]
                assert found(worker_reads(COMMANDS[name], words, home), flag) == expected, settings


@pytest.mark.parametrize(("name", "flag"), CASES)
def test_every_variable(name: str, flag: Flag, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, expected = other(flag)
    kind = nested_settings(OpenSlothConfig)[flag.group] if flag.group else OpenSlothConfig
    for key, value in needed(flag).items():
        monkeypatch.setenv(variable(key), value)
    for alias in names_of(kind, flag.name):
        several = [json.dumps(written(expected))] if isinstance(expected, tuple | dict) else []
        for value in (text, *several):
            with monkeypatch.context() as patch:
                patch.setenv(variable(alias), value)
                config = worker_reads(COMMANDS[name], required(name, flag.name), home)
            assert found(config, flag) == expected


@pytest.mark.parametrize("name", METHODS)
def test_how_a_run_is_driven_reaches_whoever_drives_it(name: str, home: Path) -> None:
    command = METHODS[name]
    assert DRIVEN.keys() == RunSettings.model_fields.keys() - SourceSettings.model_fields.keys()
    default = command.configure(parse_flags(command.flags, required(name)))
    for words, changed in DRIVEN.values():
        request = command.configure(parse_flags(command.flags, [*required(name), *words.split()]))
        assert request == replace(default, **changed), words


def test_a_run_to_begin_from_is_the_model_in_a_file_and_in_a_variable_too(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDirectory.create(OpenSlothConfig.of(REQUIRED))
    run.adapter_dir.mkdir()
    path = tmp_path / "run.toml"
    path.write_text(f'init_from = "{run.path.name}"\n')
    config = worker_reads(METHODS["sft"], ["d.jsonl", "--config", str(path)], home)
    assert config.model == str(run.adapter_dir)
    monkeypatch.setenv(variable("init_from"), run.path.name)
    assert worker_reads(METHODS["sft"], ["d.jsonl"], home).model == str(run.adapter_dir)


def test_a_run_starts_from_the_record_of_another(home: Path) -> None:
    words = [
        "d.jsonl",
        "-m",
        "m",
        "--epochs",
        "3",
        "--reward",
        "math=0.5",
        "--reward",
        "format",
        "--gpus",
        "0,3",
    ]
    config = METHODS["grpo"].configure(parse_flags(METHODS["grpo"].flags, words)).config
    record = RunDirectory.create(config).config_path
    assert worker_reads(METHODS["grpo"], ["--config", str(record)], home) == config.resolved()
    changed = worker_reads(METHODS["grpo"], ["--config", str(record), "--max-steps", "5"], home)
    assert changed.model_dump(exclude={"training"}) == config.resolved().model_dump(exclude={"training"})
