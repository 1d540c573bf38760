"""Every preset is a configuration, says why, and changes what it says."""

from importlib import resources

import pytest
import yaml

from opensloth_core.config.builder import TrainingConfigBuilder
from opensloth_core.config.nest import flat_names
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.presets.names import PRESETS
from opensloth_core.presets.preset import find_preset

REQUIRED = {"data": "d.jsonl", "model": "m"}
FOLDER = resources.files("opensloth_core.presets")
CASES = [(name, method) for name in PRESETS for method in find_preset(name).methods]


def built(name: str, **flags: object) -> OpenSlothConfig:
    reward = {"reward": "math"} if flags.get("method") == "grpo" and name != "reasoning" else {}
    return TrainingConfigBuilder().with_preset(name).with_flags({**REQUIRED, **reward, **flags}).build()


def value(config: OpenSlothConfig, name: str) -> object:
    found: object = config
    for part in flat_names(OpenSlothConfig)[name]:
        found = getattr(found, part)
    return found


def test_every_file_is_a_preset_and_every_preset_a_file() -> None:
    assert sorted(f"{name}.yaml" for name in PRESETS) == sorted(
        file.name for file in FOLDER.iterdir() if file.name.endswith(".yaml")
    )


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_says_what_it_is_for_and_why_it_changes_what(name: str) -> None:
    record = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    assert set(record) <= {"summary", "methods", "settings", "only_for"}
    assert set(record.get("only_for", {})) <= set(record["methods"]) <= {"sft", "dpo", "grpo"}
    preset = find_preset(name)
    assert preset.summary.endswith(".") and preset.changes
    for change in preset.changes:
        assert change.name in flat_names(OpenSlothConfig)
        assert change.why.endswith(".") and len(change.why) < 110


@pytest.mark.parametrize(("name", "method"), CASES)
def test_a_preset_parses_and_every_setting_of_it_arrives_and_is_no_default(name: str, method: str) -> None:
    config = built(name, method=method)
    # Grpo needs rewards, here others than a preset's.
    reward = {"grpo": {"reward": "code"}} if method == "grpo" else {}
    default = OpenSlothConfig.of({**REQUIRED, **reward, "method": method})
    for change in find_preset(name).changes_for(method):
        assert value(config, change.name) != value(default, change.name), change.name


@pytest.mark.parametrize(("name", "method"), CASES)
def test_the_batches_of_a_preset_come_out_on_any_number_of_gpus(name: str, method: str) -> None:
    config = built(name, method=method)
    for world_size in (1, 2, 3, 8):
        assert config.batch_plan(world_size).global_batch_size % world_size == 0


@pytest.mark.parametrize("name", PRESETS)
def test_a_flag_beats_a_preset(name: str) -> None:
    method = find_preset(name).methods[0]
    config = built(name, method=method, epochs=7, max_seq_length=77, finetuning_type="lora")
    assert (config.training.epochs, config.training.max_steps) == (7.0, None)
    assert (config.max_seq_length, config.finetuning_type) == (77, "lora")


def test_a_preset_for_other_methods_and_one_that_is_none_are_refused() -> None:
    with pytest.raises(ConfigError, match="preset reasoning: is for grpo, not for sft"):
        built("reasoning", method="sft")
    with pytest.raises(ConfigError, match="preset qick: no such preset; did you mean quick"):
        built("qick")
