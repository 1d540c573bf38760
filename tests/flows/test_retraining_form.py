"""The form of a retraining."""

from typing import Any

import pytest

from flows.cli.os_train import METHODS
from opensloth_core.config.nest import flat_names
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.retrain.form import Retraining
from opensloth_core.retrain.settings import REFUSED, retraining_config
from tests.flows.forms import LEAST, RETRAINED, leaves, refusal, schema_of, untouched


@pytest.mark.parametrize("method", METHODS)
def test_an_untouched_form_is_a_retraining_without_settings(method: str) -> None:
    submitted = {**untouched(schema_of("retrain")["properties"]), **RETRAINED, "method": method}
    assert refusal("retrain", **submitted) is None
    asked = Retraining.given(submitted)
    assert asked.training() == retraining_config(OpenSlothConfig.of({**LEAST, "method": method}))
    plain = Retraining.given({**RETRAINED, "method": method})
    assert asked.model_copy(update={"settings": {}}) == plain


def test_it_asks_for_every_setting_but_those_that_it_refuses() -> None:
    asked = {path[-1] for path, _ in leaves(schema_of("retrain")["properties"]["settings"]["properties"])}
    wanted = {place[-1] for place in flat_names(OpenSlothConfig).values()}
    assert asked == wanted - REFUSED - {*LEAST, "method"}


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"name": "My Bot"}, "'name'"),
        ({"data": []}, "'data'"),
        ({"min_improvement": 1}, "'min_improvement'"),
        ({"keep": 0}, "'keep'"),
        ({"settings": {"lr": 1}}, "'lr' was unexpected"),
        ({"settings": {"training": {"lr": 1}}}, "'lr' was unexpected"),
        ({"settings": {"preparation": {"eval_size": 500}}}, "'settings.preparation.eval_size'"),
        ({"settings": {"preparation": {"eval_size": "100%"}}}, "'settings.preparation.eval_size'"),
        ({"settings": {"finetuning_type": "full"}}, "'settings.finetuning_type'"),
        ({"settings": {"lora": {"merge_lora": True}}}, "'merge_lora' was unexpected"),
    ],
)
def test_the_server_refuses_what_would_fail(values: dict[str, Any], place: str) -> None:
    assert place in str(refusal("retrain", **values))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"settings": {"beta": 0.1}}, "beta: no such setting"),
        (
            {"method": "dpo", "settings": {"preparation": {"train_on": "all"}}},
            "preparation.train_on: no such",
        ),
        ({"settings": {"preparation": {"eval_size": 2}}}, "eval_size 2: of a number of rows"),
        ({"keep": 0}, "keep: must be greater than or equal to 1, got 0"),
        ({"model": None}, "model: required"),
        ({"run_dir": "a"}, "run_dir: no such setting"),
    ],
)
def test_settings_of_another_method_and_wrong_ones_are_refused_in_one_sentence(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        Retraining.given({**RETRAINED, **values}).training()
    assert str(refused.value).startswith(message)
