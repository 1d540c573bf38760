"""What does not fit into a model's positions is refused, and no model is loaded for more."""

import json
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.checks.positions import check_positions, check_prompts
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.models.positions import max_positions
from opensloth_core.runs.directory import Launch
from opensloth_core.training.model import loaded_length


def folder_of(tmp_path: Path, config: Any) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def settings(method: str = "sft", **values: Any) -> OpenSlothConfig:
    return OpenSlothConfig.of({"data": "d", "model": "m", "method": method, **values})


@pytest.mark.parametrize(
    ("config", "positions"),
    [
        ({"max_position_embeddings": 2048}, 2048),
        ({"n_positions": 1024}, 1024),
        ({"text_config": {"max_position_embeddings": 4096}, "max_position_embeddings": 77}, 4096),
        ({"text_config": {"hidden_size": 8}, "max_position_embeddings": 512}, 512),
        ({"max_position_embeddings": 131072, "rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, 131072),
        ({"max_position_embeddings": None}, None),
        ({"hidden_size": 8}, None),
        ([], None),
    ],
)
def test_positions_are_those_of_the_text_model(tmp_path: Path, config: Any, positions: int | None) -> None:
    assert max_positions(folder_of(tmp_path, config)) == positions


def test_settings_beyond_the_positions_are_refused_with_what_fits(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"max_position_embeddings": 2048})
    for fitting in (settings(), settings("grpo"), settings("grpo", grpo={"max_completion_length": 2047})):
        check_positions(fitting, folder)
    with pytest.raises(
        ConfigError, match=r"max_seq_length 2049: .* 2048 positions; lower --max-seq-length to 2048$"
    ):
        check_positions(settings(max_seq_length=2049), folder)
    with pytest.raises(
        ConfigError, match=r"max_seq_length 4096: .* 2048 positions; lower --max-seq-length to 1536$"
    ):
        check_positions(settings("grpo", max_seq_length=4096), folder)
    with pytest.raises(
        ConfigError, match=r"max_completion_length 2048: .*; lower --max-completion-length, to 1024"
    ):
        check_positions(settings("grpo", grpo={"max_completion_length": 2048}), folder)
    check_positions(settings(max_seq_length=10**6), folder_of(tmp_path, {"hidden_size": 8}))


def test_a_prompt_without_room_for_a_completion_is_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"max_position_embeddings": 2048})
    check_prompts(settings("grpo"), folder, 1536)
    with pytest.raises(
        ConfigError,
        match=r"max_completion_length 512: the longest prompt has 1537 tokens, and the model m has 2048 "
        r"positions for both together; lower --max-seq-length to 1536, which leaves such prompts out, or "
        r"--max-completion-length to 511$",
    ):
        check_prompts(settings("grpo"), folder, 1537)


def test_a_model_is_never_loaded_for_more_than_its_positions(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"max_position_embeddings": 2048})
    launch = Launch(str(folder), ("cpu",), "key")
    assert loaded_length(settings("grpo"), launch) == 2048, "2560 would have Unsloth change the positions"
    assert loaded_length(settings("grpo", max_seq_length=100), launch) == 612
    folder_of(tmp_path, {})
    assert loaded_length(settings("grpo"), launch) == 2560
