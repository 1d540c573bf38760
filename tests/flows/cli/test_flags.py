"""Every setting is a flag, and every flag reaches the configuration."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from flows.cli.export.program import EXPORT
from flows.cli.flags import METAVARS, REPEATABLE, SHORT, Flag
from flows.cli.os_data import OS_DATA, PREPARE
from flows.cli.os_train import METHODS, OS_TRAIN, SFT
from flows.cli.parser import accepted_spellings, parse_flags
from flows.cli.plan.asked import DryRunSettings
from flows.cli.request import (
    FinetuneRequest,
    RemoteSettings,
    ResumeSettings,
    RunSettings,
    TmuxSettings,
    finetune_request,
)
from flows.cli.sections import SECTIONS, by_section
from opensloth_core.config.nest import names_of, nested_settings
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.directory import RunDirectory
from tests.flows.cli.other_values import NEEDED, REQUIRED, REQUIRED_BY, other_values
from tests.flows.cli.public_surface import commands

COMMANDS = [command for program in (OS_TRAIN, OS_DATA) for _, command in commands(program, program.name)]
FLAGS = SFT.flags
OF_METHOD = [(method, flag) for method, command in METHODS.items() for flag in command.flags]
MANY = {
    "init_from",
    "prepared",
    "config",
    "preset",
    *DryRunSettings.model_fields,
    *RemoteSettings.model_fields,
    *TmuxSettings.model_fields,
}
"""--init-from stands for --model, so that both cannot be given, the next for many settings, and the others
say whether it is run here; these have tests of their own."""
ALONE = [(method, flag) for method, flag in OF_METHOD if flag.name not in MANY]
"""Those that stand for one setting."""


def leaf_models() -> list[tuple[type[BaseModel], str]]:
    groups = nested_settings(OpenSlothConfig)
    outer = [(OpenSlothConfig, name) for name in OpenSlothConfig.model_fields if name not in groups]
    driving = [(RunSettings, name) for name in RunSettings.model_fields]
    return outer + driving + [(kind, name) for kind in groups.values() for name in kind.model_fields]


def value_of(request: FinetuneRequest, flag: Flag) -> object:
    home = request if flag.name in ResumeSettings.model_fields else request.config
    return getattr(getattr(home, flag.group) if flag.group else home, flag.name)


def request_from(words: list[str], method: str) -> FinetuneRequest:
    given = parse_flags(METHODS[method].flags, words)
    return finetune_request({**REQUIRED, **REQUIRED_BY.get(method, {}), **given}, method)


def test_every_leaf_setting_but_the_method_is_a_flag_of_some_method() -> None:
    assert {flag.name for _, flag in OF_METHOD} | {"method"} == {name for _, name in leaf_models()}


@pytest.mark.parametrize("command", METHODS.values(), ids=lambda command: command.name)
def test_a_method_has_no_flags_that_only_another_one_has(command) -> None:
    groups = {flag.group for flag in command.flags}
    assert groups & {"dpo", "grpo"} == {command.name} - {"sft"}


@pytest.mark.parametrize("command", METHODS.values(), ids=lambda command: command.name)
def test_flat_names_and_spellings_are_unique(command) -> None:
    names = [flag.name for flag in command.flags]
    spellings = [spelling for flag in command.flags for spelling in accepted_spellings(flag)]
    assert len(set(names)) == len(names)
    assert len(set(spellings)) == len(spellings)
    assert not {"-h", "--help"} & set(spellings)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_flag_has_help_and_a_section(command) -> None:
    flags = command.flags
    assert all(flag.help.endswith(".") for flag in flags)
    placed = [flag.name for members in by_section(flags).values() for flag in members]
    assert sorted(placed) == sorted(flag.name for flag in flags)


def test_the_tables_of_the_command_line_name_existing_settings() -> None:
    flags = [flag for command in COMMANDS for flag in command.flags]
    known = {flag.name for flag in flags} | {flag.group for flag in flags}
    listed = {name for names in SECTIONS.values() for name in names}
    assert listed <= known
    assert set(SHORT) <= known
    assert set(METAVARS) | set(REPEATABLE) <= known


@pytest.mark.parametrize(("method", "flag"), ALONE, ids=lambda case: getattr(case, "name", case))
def test_every_spelling_of_a_flag_sets_its_setting_and_only_that(method: str, flag: Flag) -> None:
    needed = NEEDED.get(flag.name, {})
    default = finetune_request({**REQUIRED, **REQUIRED_BY.get(method, {}), **needed}, method)
    for spelling in accepted_spellings(flag):
        if flag.is_switch:
            cases = [([spelling], not spelling.startswith("--no-"))]
        else:
            cases = [([spelling, text], value) for text, value in other_values(flag)]
            cases += [([f"{spelling}={text}"], v) for text, v in other_values(flag) if spelling[1] == "-"]
        for words, expected in cases:
            request = request_from([*words, *(f"--{name}={v}" for name, v in needed.items())], method)
            arrived = value_of(request, flag)
            assert (str(arrived) if flag.metavar == "DIR" else arrived) == expected
            assert arrived != value_of(default, flag) or (flag.is_switch and arrived is False)
            others = [f for m, f in ALONE if m == method and f.name != flag.name]
            assert [value_of(request, f) for f in others] == [value_of(default, f) for f in others]


def test_a_run_to_begin_from_stands_for_the_model(home: Path) -> None:
    run = RunDirectory.create(OpenSlothConfig.of(REQUIRED))
    run.adapter_dir.mkdir()
    given = parse_flags(FLAGS, ["d.jsonl", "--init-from", run.path.name])
    assert finetune_request(given, "sft").config.model == str(run.adapter_dir)


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_the_batch_size_may_be_left_to_the_device(method: str) -> None:
    assert request_from(["--batch-size", "auto"], method).config.training.batch_size == "auto"


def test_data_stands_without_a_flag_anywhere_on_the_line() -> None:
    assert parse_flags(FLAGS, ["d.jsonl", "--model", "m"])["data"] == ["d.jsonl"]
    assert parse_flags(FLAGS, ["--model", "m", "d.jsonl"])["data"] == ["d.jsonl"]
    assert parse_flags(FLAGS, ["--model", "m", "d.jsonl", "-g2"]) == {
        "data": ["d.jsonl"],
        "model": "m",
        "gpus": "2",
    }


def test_several_files_are_given_anywhere_and_a_name_with_a_dash_after_two() -> None:
    assert parse_flags(FLAGS, ["a", "--model", "m", "b"])["data"] == ["a", "b"]
    assert parse_flags(FLAGS, ["--input", "a", "--input", "b"])["data"] == ["a", "b"]
    assert parse_flags(FLAGS, ["a", "--", "-b", "--model"]) == {"data": ["a", "-b", "--model"]}


@pytest.mark.parametrize("flag", PREPARE.flags, ids=lambda flag: flag.name)
def test_os_data_has_the_data_flags_of_os_train_with_the_same_help(flag: Flag) -> None:
    if flag.name == "method":
        return
    (same,) = [other for other in FLAGS if other.name == flag.name]
    assert (same.help, same.metavar, same.default) == (flag.help, flag.metavar, flag.default)
    assert set(same.spellings) <= set(flag.spellings)


def test_every_alias_of_more_than_one_letter_is_a_flag() -> None:
    spellings = {spelling for _, flag in OF_METHOD for spelling in accepted_spellings(flag)} | {
        "--method",
        "--training-type",
    }
    for model, name in leaf_models():
        for alias in names_of(model, name):
            if len(alias) > 1 and (alias, name) != ("data", "data"):
                assert "--" + alias.replace("_", "-") in spellings


def test_a_flag_says_what_it_takes_in_its_own_command() -> None:
    (rollback,) = [command for command in COMMANDS if command.name == "rollback"]
    labels = {
        (command.name, flag.name): flag.label
        for command in (*METHODS.values(), EXPORT, rollback)
        for flag in command.flags
    }
    assert labels["export", "to"] == "--to merged|gguf|hub"
    assert labels["rollback", "to"] == "--to VERSION"
    assert labels["sft", "batch_size"] == "-b, --batch-size N|auto"
    assert labels["grpo", "batch_size"] == "-b, --batch-size N"


def test_what_is_not_given_is_absent() -> None:
    assert parse_flags(FLAGS, []) == {}
    assert parse_flags(FLAGS, ["d.jsonl", "--epochs", "3"]) == {"data": ["d.jsonl"], "epochs": "3"}


def test_every_method_is_given_by_its_command() -> None:
    for name, command in METHODS.items():
        assert command.configure({**REQUIRED, **REQUIRED_BY.get(name, {})}).config.method == name
