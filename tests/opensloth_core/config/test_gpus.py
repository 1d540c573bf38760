"""The ways to say which GPUs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.gpus import parse_gpus
from opensloth_core.errors import ConfigError


def config(gpus: object) -> DatasetPrepConfig:
    return DatasetPrepConfig.of({"data": "d", "model": "m", "gpus": gpus})


@pytest.mark.parametrize(
    ("given_as", "means"),
    [
        (2, 2), ("2", 2), (" 2 ", 2), ("auto", "auto"), ("0,3", (0, 3)), ("3, 0", (3, 0)), ([0, 3], (0, 3)),
        ((1,), (1,)), ("1,", (1,)), ("0,1,2,3", (0, 1, 2, 3)),
    ],
)  # fmt: skip
def test_what_is_understood(given_as: object, means: object) -> None:
    assert parse_gpus(given_as) == means
    assert config(given_as).gpus == means


@pytest.mark.parametrize(
    "given_as",
    [
        0, "0", -1, "-1", True, 1.5, "1.5", "two", "", ",", "0,0", "0,-1", "0,x", "0,,1", [], [0, True],
        ["0"], None, "²",
    ],
)  # fmt: skip
def test_what_is_refused(given_as: object) -> None:
    with pytest.raises(ValueError):
        parse_gpus(given_as)
    with pytest.raises(ConfigError, match=r"^gpus: "):
        config(given_as)


@given(
    st.just("auto")
    | st.integers(min_value=1, max_value=64)
    | st.lists(st.integers(min_value=0, max_value=63), min_size=1, max_size=8, unique=True).map(tuple)
)
def test_json_keeps_the_selection(selection: object) -> None:
    one = config(selection)
    assert DatasetPrepConfig.model_validate_json(one.model_dump_json()).gpus == one.gpus == selection
