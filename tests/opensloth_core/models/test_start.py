"""What a run starts from: which base model, which adapter, and what cannot be meant."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError, ModelError
from opensloth_core.models.adapter import write_note
from opensloth_core.models.start import fetch_start, fetch_tokenizer, find_start, refuse_start
from opensloth_core.runs.directory import RunDirectory


@pytest.fixture
def adapter_copy(adapter_dir: Path, tmp_path: Path) -> Path:
    """An adapter that a test may change."""
    return Path(shutil.copytree(adapter_dir, tmp_path / "adapter-copy"))


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def asked(model: Path | str, **settings: Any) -> OpenSlothConfig:
    return OpenSlothConfig.of({"data": "d.jsonl", "model": str(model), **settings})


def test_a_model_is_its_own_base(tiny_model_dir: Path) -> None:
    start = find_start(str(tiny_model_dir))
    assert (start.model, start.adapter) == (str(tiny_model_dir), None)


def test_an_adapter_s_base_is_found_by_the_folder_it_names(adapter_dir: Path, tiny_model_dir: Path) -> None:
    start = find_start(str(adapter_dir))
    assert start.model == str(tiny_model_dir)
    assert start.adapter is not None
    assert start.adapter.folder == adapter_dir


def test_an_adapter_s_base_may_be_a_hub_id(adapter_copy: Path) -> None:
    change(adapter_copy / "adapter_config.json", base_model_name_or_path="org/name")
    assert find_start(str(adapter_copy)).model == "org/name"


def test_our_note_finds_the_embedded_model_on_a_machine_where_its_folder_is_another(
    adapter_copy: Path,
) -> None:
    change(adapter_copy / "adapter_config.json", base_model_name_or_path="/elsewhere/SmolLM2")
    write_note(adapter_copy, "embedded", "/elsewhere/SmolLM2")
    assert find_start(str(adapter_copy)).model == "embedded"


def test_a_base_that_is_gone_says_where_it_was_looked_for(adapter_copy: Path) -> None:
    change(adapter_copy / "adapter_config.json", base_model_name_or_path="/gone/model")
    with pytest.raises(ModelError) as caught:
        find_start(str(adapter_copy))
    assert str(caught.value) == (
        f"{adapter_copy}: its base model is not here: there is no folder /gone/model; pass the base as "
        "--model and the adapter as --pretrained-lora"
    )


def test_an_adapter_whose_base_is_gone_starts_with_the_base_given_apart(
    adapter_copy: Path, tiny_model_dir: Path
) -> None:
    change(adapter_copy / "adapter_config.json", base_model_name_or_path="/gone/model")
    said: list[str] = []
    found = fetch_start(asked(tiny_model_dir, pretrained_lora=adapter_copy), said.append)
    assert (found.model_dir, found.adapter_dir) == (tiny_model_dir, adapter_copy)
    assert said == [
        f"warning: the adapter {adapter_copy} was trained on /gone/model, not on {tiny_model_dir}; it fits, "
        "but may not mean the same there"
    ]


def test_a_base_under_the_name_the_adapter_knows_is_no_warning(
    adapter_dir: Path, tiny_model_dir: Path
) -> None:
    said: list[str] = []
    found = fetch_start(asked(tiny_model_dir, pretrained_lora=adapter_dir), said.append)
    assert said == []
    assert found == fetch_start(asked(adapter_dir), said.append)


def test_two_adapters_are_refused(adapter_dir: Path) -> None:
    with pytest.raises(ModelError, match="is an adapter itself, and"):
        find_start(str(adapter_dir), adapter_dir)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "IA3"}, "peft_type IA3: only LORA adapters can be trained on"),
        ({"peft_type": None}, "peft_type None: only LORA adapters can be trained on"),
    ],
)
def test_what_is_no_lora_adapter_is_refused(changes: Any, message: str, adapter_copy: Path) -> None:
    change(adapter_copy / "adapter_config.json", **changes)
    with pytest.raises(ModelError) as caught:
        find_start(str(adapter_copy))
    assert str(caught.value) == f"{adapter_copy}: {message}"


def test_an_adapter_without_weights_is_refused(adapter_copy: Path) -> None:
    (adapter_copy / "adapter_model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no adapter_model\.safetensors; where the weights are in "):
        find_start(str(adapter_copy))


def test_a_torn_configuration_of_an_adapter_is_refused(adapter_copy: Path) -> None:
    (adapter_copy / "adapter_config.json").write_text('{"r": ')
    with pytest.raises(ModelError, match=r"adapter_config\.json: not valid JSON"):
        find_start(str(adapter_copy))


def test_a_model_as_pretrained_lora_is_refused(tiny_model_dir: Path) -> None:
    with pytest.raises(ModelError, match=r"not an adapter \(it has no adapter_config\.json\)"):
        find_start("embedded", tiny_model_dir)


def test_a_run_means_its_result(adapter_dir: Path, tiny_model_dir: Path, home: Path) -> None:
    run = RunDirectory.create(asked(tiny_model_dir))
    with pytest.raises(ModelError, match="the run has no result to start from: its state is created"):
        find_start(str(run.path))
    shutil.copytree(adapter_dir, run.adapter_dir)
    for model, lora in ((str(run.path), None), (str(tiny_model_dir), run.path)):
        start = find_start(model, lora)
        assert start.adapter is not None
        assert (start.adapter.folder, start.model) == (run.adapter_dir, str(tiny_model_dir))


def test_a_checkpoint_belongs_to_its_run(home: Path) -> None:
    run = RunDirectory.create(asked("m"))
    checkpoint = run.checkpoints_dir / "step-00000010"
    checkpoint.mkdir(parents=True)
    with pytest.raises(
        ModelError, match="is a checkpoint, which only its own run can go on from; resume that "
    ):
        find_start(str(checkpoint))


def test_a_run_that_trained_all_weights_means_its_model(tiny_model_dir: Path, home: Path) -> None:
    run = RunDirectory.create(asked("m"))
    shutil.copytree(tiny_model_dir, run.adapter_dir)
    assert find_start(str(run.path)).model == str(run.adapter_dir)


def test_the_adapter_s_own_settings_may_be_repeated(adapter_dir: Path) -> None:
    lora = {"lora_rank": 4, "lora_alpha": 8, "lora_dropout": 0.0, "target_modules": "q_proj,down_proj"}
    refuse_start(asked(adapter_dir, lora=lora))


@pytest.mark.parametrize(
    ("lora", "message"),
    [
        (
            {"lora_rank": 16},
            "lora_rank 16: contradicts the adapter {folder}, whose own is 4 and cannot change; ",
        ),
        ({"lora_alpha": 9}, "lora_alpha 9.0: contradicts the adapter {folder}, whose own is 8 and cannot "),
        (
            {"target_modules": "q_proj"},
            "target_modules q_proj: contradicts the adapter {folder}, whose own is ",
        ),
    ],
)
def test_settings_that_contradict_the_adapter_are_refused(
    lora: dict[str, Any], message: str, adapter_dir: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        refuse_start(asked(adapter_dir, lora=lora))
    assert str(caught.value).startswith(message.format(folder=adapter_dir))


def test_a_new_adapter_on_a_merged_one_has_settings_of_its_own(adapter_dir: Path) -> None:
    refuse_start(asked(adapter_dir, lora={"lora_rank": 16}, merge_lora=True))


def test_merging_without_an_adapter_is_refused(tiny_model_dir: Path) -> None:
    with pytest.raises(ConfigError, match="merge_lora: there is no adapter to merge; give one as "):
        refuse_start(asked(tiny_model_dir, merge_lora=True))


def test_an_adapter_that_was_given_survives_in_the_run_s_configuration_without_lora_settings(
    adapter_dir: Path, home: Path
) -> None:
    """The run's own record would otherwise contradict the adapter with our defaults."""
    for config in (asked(adapter_dir), asked("m", pretrained_lora=adapter_dir)):
        reread = RunDirectory.create(config).config()
        assert "lora" not in reread.model_fields_set
    given = RunDirectory.create(asked(adapter_dir, lora={"lora_rank": 16})).config()
    assert given.lora.model_fields_set == {"lora_rank"}
    merged = RunDirectory.create(asked(adapter_dir, merge_lora=True)).config()
    assert merged.lora.model_fields_set >= {"lora_rank", "lora_alpha"}


def test_data_is_prepared_with_the_base_s_tokenizer_where_the_adapter_has_none(
    adapter_dir: Path, tiny_model_dir: Path
) -> None:
    assert fetch_tokenizer(str(adapter_dir)) == tiny_model_dir
