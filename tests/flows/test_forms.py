"""The form of each deployment: what Prefect makes of it, and which configuration its values mean."""

from typing import Any

import pytest
import yaml
from prefect.utilities.schema_tools.validation import ValidationError, validate

from flows.cli.os_train import METHODS
from flows.cli.parser import parse_flags
from flows.finetune import FLOWS
from flows.parameters import parameters_of
from flows.server.deployments import deployments_file
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.form.schema import SHAPES
from opensloth_core.config.form.values import FORMS
from opensloth_core.config.nest import flat_names
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from tests.flows.forms import FLOW, FORM_OF, LEAST, RETRAINED, groups, leaves, refusal, schema_of, untouched

OTHER: dict[str, Any] = {
    "data": ["a.jsonl", "b.jsonl"],
    "map": ["messages=talk"],
    "gpus": "0,3",
    "batch_size": 16,
    "eval_size": "5%",
    "max_rejected": "2%",
    "reward": ["code=0.5", "format"],
    "target_modules": "q_proj, v_proj",
    "report_to": "wandb",
    "gradient_checkpointing": "false",
    "overlong": "error",
    "learning_rate": 1e-5,
    "method": "dpo",
}
"""Values other than the default, where the type alone would not give one."""


@pytest.mark.parametrize("name", FORM_OF)
def test_every_field_has_a_title_and_a_description_and_the_page_can_draw_it(name: str) -> None:
    properties = schema_of(name)["properties"]
    assert [one["position"] for one in properties.values()] == list(range(len(properties)))
    assert list(properties)[: len(RETRAINED if name == "retrain" else LEAST)] == list(
        RETRAINED if name == "retrain" else LEAST
    )
    assert not {"run_dir", "config"} & set(properties)
    for path, leaf in leaves(properties):
        assert leaf["title"][0].isupper() and "_" not in leaf["title"], path
        assert len(leaf["description"]) > 15, path
        types = [leaf.get("type"), *(way["type"] for way in leaf.get("anyOf", ()))]
        assert set(types) - {None} and "null" not in types, path
        assert leaf.get("default", "not given") is not None, path
    for group in groups(properties):
        assert group["additionalProperties"] is False and group["description"] and group["title"]


@pytest.mark.parametrize("name", FLOW)
def test_no_setting_is_lost_and_none_of_another_method_is_there(name: str) -> None:
    model = DatasetPrepConfig if name == "data" else OpenSlothConfig
    apart = {"prepared"} if name == "data" else {"method", "init_from"}
    apart |= set() if name in ("sft", "data") else {"train_on"}
    for method in {"dpo", "grpo"} - {name}:
        apart |= {place[-1] for place in flat_names(model).values() if place[0] == method}
    wanted = {place[-1] for place in flat_names(model).values()} - apart
    found = [path[-1] for path, _ in leaves(schema_of(name)["properties"])]
    driving = set() if name == "data" else {"resume", "allow_drift"}
    assert sorted(found) == sorted(wanted | driving)


@pytest.mark.parametrize("name", METHODS)
def test_an_untouched_form_is_the_command_without_flags(name: str) -> None:
    submitted = {**untouched(schema_of(name)["properties"]), **LEAST}
    submitted = {key: value for key, value in submitted.items() if key not in ("resume", "allow_drift")}
    assert refusal(name, **submitted) is None
    command = METHODS[name]
    flags = parse_flags(command.flags, ["some.jsonl", "--model", "some-model"])
    if name == "grpo":
        flags["reward"], submitted["reward"] = "math", "math"
    wanted = command.configure(flags).config
    config = FORMS[name].config_of(submitted)
    assert config == wanted
    assert "lora" not in config.model_fields_set
    assert parameters_of(config) == {**submitted, "data": ["some.jsonl"]} or "lora" not in parameters_of(
        config
    )


CASES = [
    pytest.param(name, path, leaf, id=f"{name}-{path[-1]}")
    for name in FLOW
    for path, leaf in leaves(schema_of(name)["properties"])
    if path[-1] not in ("resume", "allow_drift", "prepared")
]


@pytest.mark.parametrize(("name", "path", "leaf"), CASES)
def test_every_field_reaches_the_configuration_and_comes_back(
    name: str, path: tuple[str, ...], leaf: dict[str, Any]
) -> None:
    value = other(path[-1], leaf)
    values: dict[str, Any] = {**LEAST, **({"reward": "math"} if name == "grpo" else {})}
    if path[-1] == "samples_from":
        values["preparation"] = {"samples": 9}
    home = values if len(path) == 1 else values.setdefault(path[0], {})
    default = FORMS[name].config_of(values)
    home[path[-1]] = value
    config = FORMS[name].config_of(values)
    assert refusal(name, **values) is None
    assert config != default
    again = parameters_of(config) if name != "data" else FORMS["data"].values_of(config)
    assert refusal(name, **again) is None
    assert FORMS[name].config_of(again) == config


def other(name: str, leaf: dict[str, Any]) -> Any:
    if name in OTHER:
        return OTHER[name]
    if "enum" in leaf:
        return next(choice for choice in leaf["enum"] if choice != leaf.get("default"))
    return {"string": "other", "boolean": True, "integer": 7, "number": 0.375}[leaf["type"]]


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"epochs": -1}, "'epochs'"),
        ({"gpus": 0}, "'gpus'"),
        ({"gpus": "abc"}, "'gpus'"),
        ({"model": ""}, "'model'"),
        ({"data": []}, "'data'"),
        ({"finetuning_type": "loRA"}, "'finetuning_type'"),
        ({"training": {"lr": 1}}, "'lr' was unexpected"),
        ({"training": {"warmup_ratio": 2}}, "'training.warmup_ratio'"),
        ({"batch_size": "many"}, "'batch_size'"),
        ({"evaluation": {"eval_steps": "x"}}, "'evaluation.eval_steps'"),
    ],
)
def test_the_server_refuses_before_there_is_a_run(values: dict[str, Any], place: str) -> None:
    assert place in str(refusal("sft", **values))


def test_the_server_takes_one_source_and_several_and_asks_for_what_is_required() -> None:
    assert refusal("sft", data="/data/x.jsonl") is None
    assert refusal("sft", data=["/data/x.jsonl", "b"]) is None
    assert {"data", "model"} <= set(schema_of("sft")["required"])
    with pytest.raises(ValidationError, match="'model' is a required property"):
        validate({"data": "x"}, schema_of("sft"), raise_on_error=True)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": -1}, "epochs: must be greater than 0, got -1"),
        ({"lora": {"lora_rank": "x"}}, "lora.lora_rank: must be a whole number, got 'x'"),
        ({"training": {"epochs": 2}}, "training.epochs: no such setting; did you mean epochs?"),
        ({"eval_size": 0.1}, "eval_size: no such setting; did you mean preparation.eval_size?"),
        (
            {"preparation": {"samples_from": "head"}},
            "samples_from head: has no effect without samples; give both",
        ),
        (
            {"epochs": 3, "training": {"max_steps": 1}},
            "training.max_steps is instead of epochs; give one of the two",
        ),
        ({"model": None}, "model: required"),
    ],
)
def test_what_the_server_did_not_check_is_refused_in_one_sentence(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        FORMS["sft"].config_of({**LEAST, **values})
    assert str(refused.value) == message


def test_a_lora_setting_that_is_given_as_its_default_is_given() -> None:
    config = FORMS["sft"].config_of({**LEAST, "lora": {"lora_rank": 16, "merge_lora": False}})
    assert "lora" in config.model_fields_set


def test_of_two_lengths_in_a_file_the_form_gets_the_one_that_counts() -> None:
    both = OpenSlothConfig.of({**LEAST, "training": {"epochs": 3, "max_steps": 1}})
    assert parameters_of(both) == {**LEAST, "data": ["some.jsonl"], "training": {"max_steps": 1}}
    prefilled = {**LEAST, "epochs": 1.0, "training": {"max_steps": 1}}
    assert FORMS["sft"].config_of(prefilled) == FORMS["sft"].config_of(parameters_of(both))


def test_the_shapes_are_of_settings_that_there_are() -> None:
    assert set(SHAPES) <= {place[-1] for place in flat_names(OpenSlothConfig).values()}


def test_a_flow_refuses_a_configuration_of_another_method() -> None:
    config = OpenSlothConfig.of({**LEAST, "method": "dpo"})
    with pytest.raises(ConfigError, match="this flow is for sft; start finetune-dpo"):
        FLOWS["sft"](config)


def test_every_deployment_has_the_server_check_its_form() -> None:
    entries = yaml.safe_load(deployments_file().read_text())["deployments"]
    ours = {entry["entrypoint"].rpartition(":")[2]: entry for entry in entries}
    for name, flow in FORM_OF.items():
        entry = ours[flow.fn.__name__]
        assert entry["enforce_parameter_schema"] is True
        assert entry["description"] and entry["tags"]
        defaults = entry.get("parameters", {})
        if name != "retrain":
            assert defaults == ({} if name == "data" else {"resume": "auto"})
        assert refusal(name, **defaults) is None
