"""The JSON schema accepts what configuration files may hold, and nothing else."""

import json
import shlex
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from flows.cli.main import main
from flows.cli.os_train import METHODS, OS_TRAIN
from flows.cli.request import RunSettings
from flows.cli.schema import config_schema
from opensloth_core.config.builder import TrainingConfigBuilder
from opensloth_core.presets.names import PRESETS
from opensloth_core.presets.preset import find_preset
from opensloth_core.runs.directory import RunDirectory
from tests.flows.cli.other_values import other_values
from tests.flows.cli.test_round_trip import written

EXAMPLES = Path(__file__).parents[3] / "README.md"


@cache
def validator(method: str | None) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(config_schema(method))


def accepts(values: dict[str, Any], method: str | None = None) -> bool:
    return bool(validator(method).is_valid(values))


def readme_examples() -> list[dict[str, Any]]:
    """The configuration files that README shows."""
    text = EXAMPLES.read_text()
    yamls = [yaml.safe_load(block.split("```")[0]) for block in text.split("```yaml\n")[1:]]
    tomls = [tomllib.loads(block.split("```")[0]) for block in text.split("```toml\n")[1:]]
    return [*yamls, *tomls]


@pytest.mark.parametrize("method", [None, *METHODS])
def test_it_is_printed_and_is_a_schema(method: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(OS_TRAIN, shlex.split(f"schema {method or ''}")) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema == config_schema(method)
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("method", METHODS)
def test_it_accepts_every_value_that_the_models_accept(method: str) -> None:
    for flag in METHODS[method].flags:
        if flag.name in RunSettings.model_fields:
            continue
        for text, expected in other_values(flag):
            for value in (text if not flag.is_switch else True, json.loads(json.dumps(written(expected)))):
                assert accepts({flag.name: value}, method), (flag.name, value)
                assert accepts({flag.name: value}), (flag.name, value)
                if flag.group:
                    assert accepts({flag.group: {flag.name: value}}, method), (flag.name, value)


def test_it_accepts_the_examples_of_readme_presets_and_the_record_of_a_run(home: Path) -> None:
    assert readme_examples()
    assert all(accepts(example) for example in readme_examples())
    for name in PRESETS:
        preset = find_preset(name)
        for method in preset.methods:
            assert accepts({change.name: change.value for change in preset.changes_for(method)}, method)
    config = TrainingConfigBuilder().with_flags({"data": "d", "model": "m", "gpus": "0,3"}).build()
    assert accepts(json.loads(RunDirectory.create(config).config_path.read_text()), "sft")


@pytest.mark.parametrize(
    "wrong",
    [
        {"epoch": 3},
        {"training": {"epoch": 3}},
        {"training": 3},
        {"lora": {"epochs": 3}},
        {"epochs": "many"},
        {"epochs": 0},
        {"overlong": "keep"},
        {"trust_remote_code": "certainly not"},
        {"method": "dpo"},
        {"beta": 0.1},
        {"reward": "math"},
    ],
    ids=str,
)
def test_it_refuses_what_no_supervised_run_has(wrong: dict[str, Any]) -> None:
    assert not accepts(wrong, "sft")
    if wrong.keys() & {"beta", "reward", "method"}:
        assert accepts(wrong)


def test_every_setting_is_described() -> None:
    for schema in (config_schema(), *(config_schema(method) for method in METHODS)):
        assert all(one["description"] for one in schema["properties"].values())
