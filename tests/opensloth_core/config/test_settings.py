"""The settings models: strict, frozen, plain about mistakes, lossless as JSON."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.nest import flat_names
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.config.training import LoraArguments, TrainingArguments
from opensloth_core.errors import ConfigError

REQUIRED = {"data": "d.jsonl", "model": "m"}


def test_a_misspelt_setting_is_refused() -> None:
    with pytest.raises(ConfigError, match="epoch: no such setting; known: epochs, max_steps"):
        TrainingArguments.of({"epoch": 3})


def test_a_misspelt_nested_setting_lists_the_nested_names() -> None:
    with pytest.raises(ConfigError, match=r"^training\.epoch: no such setting; known: epochs, ") as caught:
        OpenSlothConfig.of({**REQUIRED, "training": {"epoch": 3}})
    assert "data_output" not in str(caught.value)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        OpenSlothConfig.of(REQUIRED).seed = 1  # type: ignore[misc]


def test_every_problem_is_named_at_once() -> None:
    training = {"learning_rate": -1, "batch_size": 0}
    values = {**REQUIRED, "gpus": 0, "training": training, "lora": {"lora_rank": "x"}}
    with pytest.raises(ConfigError) as caught:
        OpenSlothConfig.of(values)
    assert str(caught.value) == (
        "gpus: at least 1 GPU is needed, got 0; lora.lora_rank: must be a whole number, got 'x'; "
        "training.batch_size: must be 'auto' or greater than 0, got 0; "
        "training.learning_rate: must be greater than 0, got -1"
    )


def test_a_rule_over_two_fields_names_both_and_both_values() -> None:
    values = {"batch_size": 4, "gradient_accumulation_steps": 3, "global_batch_size": 10}
    with pytest.raises(ConfigError) as caught:
        TrainingArguments.of(values)
    assert str(caught.value) == (
        "global_batch_size 10 is not a multiple of batch_size 4 x gradient_accumulation_steps 3; "
        "give one of the two"
    )


@pytest.mark.parametrize("value", ["inf", "nan", float("inf"), float("nan")])
def test_numbers_are_finite(value: object) -> None:
    with pytest.raises(ConfigError, match="epochs: must be finite"):
        TrainingArguments.of({"epochs": value})


@pytest.mark.parametrize(
    "name", ["epochs", "max_steps", "batch_size", "lora_rank", "seed", "eval_size", "gpus"]
)
def test_a_switch_is_no_number(name: str) -> None:
    """YAML reads `yes` as true, and pydantic true as 1."""
    home = flat_names(OpenSlothConfig)[name]
    for value in (True, False):
        values = {home[0]: {home[1]: value}} if len(home) == 2 else {name: value}
        with pytest.raises(ConfigError, match=rf"{name}: must be a number, got {value}"):
            OpenSlothConfig.of({**REQUIRED, **values})


def test_a_seed_is_one_that_every_generator_takes() -> None:
    assert OpenSlothConfig.of({**REQUIRED, "seed": str(2**32 - 1)}).seed == 2**32 - 1
    with pytest.raises(ConfigError, match="seed: must be less than 4294967296, got '4294967296'"):
        OpenSlothConfig.of({**REQUIRED, "seed": "4294967296"})


def test_names_may_be_separated_by_commas() -> None:
    assert LoraArguments.of({"target_modules": "q_proj, v_proj,"}).target_modules == ("q_proj", "v_proj")
    with pytest.raises(ConfigError, match="target_modules"):
        LoraArguments.of({"target_modules": " , "})


@pytest.mark.parametrize(
    ("given", "share"), [("1%", 0.01), ("0.5 %", 0.005), ("100%", 1.0), ("0", 0.0), (0.2, 0.2)]
)
def test_a_share_may_be_given_in_percent(given: object, share: float) -> None:
    assert DatasetPrepConfig.of({**REQUIRED, "max_rejected": given}).max_rejected == pytest.approx(share)


@pytest.mark.parametrize("given", ["101%", "-1%", "x%", "%", "1.01"])
def test_a_share_lies_between_nothing_and_all(given: str) -> None:
    with pytest.raises(ConfigError, match=r"^max_rejected: must be "):
        DatasetPrepConfig.of({**REQUIRED, "max_rejected": given})


def test_json_round_trip_of_every_kind_of_value() -> None:
    config = OpenSlothConfig.of(
        {
            **REQUIRED,
            "gpus": "3,",
            "samples": 10,
            "data_output": "some/dir",
            "lora": {"target_modules": "q_proj"},
            "training": {"gradient_checkpointing": False, "learning_rate": 3e-5, "max_steps": 4},
        }
    )
    assert OpenSlothConfig.of(json.loads(config.model_dump_json())) == config
    assert OpenSlothConfig.model_validate_json(config.model_dump_json()) == config


def test_settings_with_all_defaults_survive_json_too() -> None:
    config = OpenSlothConfig.of(REQUIRED)
    assert OpenSlothConfig.model_validate_json(config.model_dump_json()) == config


def test_the_preparation_is_the_part_that_shapes_data() -> None:
    config = OpenSlothConfig.of({**REQUIRED, "gpus": "0,3", "training": {"epochs": 7}})
    assert config.preparation == DatasetPrepConfig.of({**REQUIRED, "gpus": (0, 3)})


@pytest.mark.parametrize(
    ("alias", "name"),
    [("input", "data"), ("dataset_name", "data"), ("model_name", "model"), ("tok_name", "model")],
)
def test_the_ancestors_names_are_accepted(alias: str, name: str) -> None:
    values = {key: value for key, value in REQUIRED.items() if key != name}
    given = getattr(DatasetPrepConfig.of({**values, alias: "given"}), name)
    assert given == (("given",) if name == "data" else "given")


def test_instances_pass_through_unchanged() -> None:
    config = OpenSlothConfig.of(REQUIRED)
    assert OpenSlothConfig.of(config) is config


@pytest.mark.parametrize(
    ("given", "sources"),
    [("a.jsonl", ("a.jsonl",)), (Path("a.jsonl"), ("a.jsonl",)), (["a.jsonl", "b/"], ("a.jsonl", "b/"))],
)
def test_one_source_is_as_good_as_a_list(given: object, sources: tuple[str, ...]) -> None:
    assert DatasetPrepConfig.of({**REQUIRED, "data": given}).data == sources


@pytest.mark.parametrize(
    ("data", "title"),
    [
        ("data/my_rows.jsonl", "my_rows"),
        ("data/folder/", "folder"),
        ("org/name", "name"),
        ("s3://bucket/rows.json.gz", "rows.json"),
        (["a/train.jsonl", "b.csv", "c.csv"], "train +2"),
        (".hidden", ".hidden"),
    ],
)
def test_the_title_is_the_name_of_the_first_source(data: object, title: str) -> None:
    assert DatasetPrepConfig.of({**REQUIRED, "data": data}).data_title == title


@pytest.mark.parametrize(
    ("given", "size"),
    [("5%", 0.05), (0.05, 0.05), ("0.05", 0.05), (500, 500.0), ("500", 500.0), (1, 1.0), ("0.5 %", 0.005)],
)
def test_the_eval_size_is_a_share_or_a_number_of_rows(given: object, size: float) -> None:
    assert DatasetPrepConfig.of({**REQUIRED, "eval_size": given}).eval_size == pytest.approx(size)


@pytest.mark.parametrize("given", [0, "0%", "100%", "200 %", -1, 1.5, "many", "%", "nan", [1]])
def test_another_eval_size_is_refused(given: object) -> None:
    with pytest.raises(ConfigError, match=r"^eval_size: must be a share such as 0.05 or a number of rows"):
        DatasetPrepConfig.of({**REQUIRED, "eval_size": given})


@pytest.mark.parametrize("given", [["messages=talk", "role.user=A"], {"messages": "talk", "role.user": "A"}])
def test_a_map_may_be_given_as_pairs(given: object) -> None:
    config = DatasetPrepConfig.of({**REQUIRED, "map": given})
    assert config.map == {"messages": "talk", "role.user": "A"}
    assert DatasetPrepConfig.of({**REQUIRED, "map": "content=a=b"}).map == {"content": "a=b"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["messages"], "map: must be NAME=COLUMN, such as messages=dialogue"),
        (["=talk"], "map: must be NAME=COLUMN, such as messages=dialogue"),
        (["messages=a", "messages=b"], "map: names one thing twice"),
    ],
)
def test_a_map_that_is_none_is_refused(given: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        DatasetPrepConfig.of({**REQUIRED, "map": given})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"method": "dpo", "overlong": "split"},
            "overlong split: has no meaning for method dpo; possible: drop, truncate, error",
        ),
        (
            {"method": "grpo", "overlong": "truncate"},
            "overlong truncate: has no meaning for method grpo; possible: drop, error",
        ),
        (
            {"method": "grpo", "train_on": "all"},
            "train_on all: has no meaning for method grpo; drop it",
        ),
        (
            {"samples_from": "head"},
            "samples_from head: has no effect without samples; give both",
        ),
    ],
)
def test_settings_that_cannot_take_effect_together_are_refused(
    values: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        DatasetPrepConfig.of({**REQUIRED, **values})
    assert str(caught.value) == message


def test_preparation_settings_survive_json() -> None:
    config = DatasetPrepConfig.of(
        {"data": ["a", "b"], "model": "m", "map": ["messages=talk"], "eval_size": "5%", "method": "dpo"}
    )
    assert DatasetPrepConfig.of(json.loads(config.model_dump_json())) == config
