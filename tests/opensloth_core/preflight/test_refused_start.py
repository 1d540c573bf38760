"""Models and adapters that a run cannot start from."""

from collections.abc import Callable
from pathlib import Path

from opensloth_core.errors import ConfigError, ModelError

Refused = Callable[..., str]


def test_an_unknown_model_folder(refused: Refused) -> None:
    assert refused(ModelError, model="./no/model") == "model ./no/model: no such model folder"
    assert refused(ModelError, model="/no/model") == "model /no/model: no such model folder"
    assert refused(ModelError, model="~no-user/model") == "model ~no-user/model: no such model folder"


def test_a_folder_that_is_no_model(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert refused(ModelError, model=str(tmp_path / "empty")) == (
        f"model {tmp_path}/empty: not a model folder (it has no config.json)"
    )


def test_more_tokens_than_the_model_has_positions(refused: Refused, model_dir: Path) -> None:
    (model_dir / "config.json").write_text('{"model_type": "llama", "max_position_embeddings": 1024}')
    assert refused(ConfigError) == (
        f"max_seq_length 2048: the model {model_dir} has 1024 positions; lower --max-seq-length to 1024"
    )


def test_layers_that_the_model_does_not_have(refused: Refused, tiny_model_dir: Path) -> None:
    message = refused(ConfigError, model=str(tiny_model_dir), lora={"target_modules": "q_prj,v_proj"})
    assert message.startswith(f"target_modules q_prj: the model {tiny_model_dir} has no layers of such names")
