"""Settings that are wrong, or could not take effect."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.models.start import StartFolders
from opensloth_core.preflight import Preflight, preflight, refuse_impossible

Refused = Callable[..., str]


def test_settings_that_nothing_is_wrong_with_pass_and_write_nothing(
    values: dict[str, Any], tmp_path: Path, model_dir: Path, home: Path
) -> None:
    outputs = {"output": str(tmp_path / "new" / "out"), "data_output": str(tmp_path / "new" / "data")}
    before = sorted(tmp_path.rglob("*"))
    start = StartFolders(model_dir, model_dir, None, str(model_dir))
    assert preflight(OpenSlothConfig.of(values | outputs)) == Preflight(start, ("cpu",))
    assert sorted(tmp_path.rglob("*")) == before
    assert not home.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gpus": 0}, "gpus: at least 1 GPU is needed, got 0"),
        ({"method": "kto"}, "method: must be 'sft', 'dpo' or 'grpo', got 'kto'"),
        ({"data": ""}, "data.0: must not be empty, got ''"),
        ({"data": []}, "data: Value should have at least 1 item after validation, not 0, got []"),
        ({"max_seq_length": 0}, "max_seq_length: must be greater than 0, got 0"),
    ],
)
def test_values_no_machine_could_run_are_refused_by_the_settings(
    changes: dict[str, Any], message: str, refused: Refused
) -> None:
    assert refused(ConfigError, **changes) == message


def test_a_misspelt_setting(refused: Refused) -> None:
    assert refused(ConfigError, sample=3).startswith("sample: no such setting; known: data, model, method")


def test_full_finetuning_with_settings_of_an_adapter(refused: Refused) -> None:
    lora = {"lora_rank": 8, "lora_alpha": 16}
    assert refused(ConfigError, finetuning_type="full", lora=lora) == (
        "finetuning_type full: there is no adapter, lora_alpha, lora_rank would have no effect; drop it"
    )


def test_full_finetuning_refuses_even_the_default_when_it_was_given(refused: Refused) -> None:
    assert refused(ConfigError, finetuning_type="full", lora={"lora_rank": 16}) == (
        "finetuning_type full: there is no adapter, lora_rank would have no effect; drop it"
    )


def test_full_finetuning_without_them_passes(values: dict[str, Any]) -> None:
    assert refuse_impossible(OpenSlothConfig.of({**values, "finetuning_type": "full"})) == ("cpu",)


def test_evaluation_steps_without_rows_held_out(refused: Refused) -> None:
    assert refused(ConfigError, training={"eval_steps": 50}) == (
        "eval_steps 50: no rows are held out to evaluate on; give eval_size, such as 5%, or drop it"
    )


def test_evaluation_steps_with_rows_held_out_pass(values: dict[str, Any], data: Path) -> None:
    rows = [f'{{"question": "{number}?", "answer": "b"}}\n' for number in range(20)]
    data.write_text("".join(rows))
    config = {**values, "eval_size": 0.1, "training": {"eval_steps": 50}}
    assert refuse_impossible(OpenSlothConfig.of(config)) == ("cpu",)


def test_dropout_of_an_adapter_that_dpo_trains(refused: Refused, data: Path) -> None:
    data.write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n')
    message = refused(ConfigError, method="dpo", lora={"lora_dropout": 0.1})
    assert message.startswith("lora_dropout 0.1: dpo compares log-probabilities")


def test_an_unknown_tracker(refused: Refused) -> None:
    message = refused(ConfigError, training={"report_to": "wanbd"})
    assert message.startswith("report_to wanbd: no such tracker; known: azure_ml, clearml, ")
    assert message.endswith(", wandb, none")


def test_all_trackers_are_no_tracker(refused: Refused) -> None:
    """Nothing starts a tracker that was not named."""
    assert refused(ConfigError, training={"report_to": "all"}).startswith("report_to all: no such tracker")


def test_a_tracker_that_is_not_installed(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opensloth_core.checks.trackers.find_spec", lambda package: None)
    assert refused(ConfigError, training={"report_to": "mlflow"}) == (
        "report_to mlflow: mlflow is not installed; install it, or drop it"
    )


def test_no_tracker_beside_one(refused: Refused) -> None:
    assert refused(ConfigError, training={"report_to": "none,wandb"}) == (
        "report_to none, wandb: none is given beside others; drop it, or them"
    )
