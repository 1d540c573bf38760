"""The tokenizer that goes with a result answers to the template the data was rendered with."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.api import run_prepare_data
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.data.render.families import trl_template
from opensloth_core.models.start import StartFolders
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.training.job import RankJob
from opensloth_core.training.result_tokenizer import save_tokenizer


@pytest.fixture
def qwen_dir(byte_model_dir: Path, tmp_path: Path) -> Path:
    """A model of the Qwen family whose tokenizer has no chat template."""
    folder = Path(shutil.copytree(byte_model_dir, tmp_path / "qwen-base"))
    (folder / "chat_template.jinja").unlink()
    (folder / "config.json").write_text('{"model_type": "qwen2"}')
    return folder


def saved(model_dir: Path, data: Path, target: Path) -> Path:
    """A folder with the tokenizer of a run on some data."""
    values: dict[str, Any] = {"data": str(data), "model": str(model_dir), "gpus": 1, "max_seq_length": 512}
    prepared = run_prepare_data(values)
    config = OpenSlothConfig.of(values)
    run = RunDirectory.create(config)
    run.write_launch(StartFolders.for_data(model_dir).launch(("cpu",), prepared.manifest.key))
    target.mkdir()
    save_tokenizer(RankJob(run, config, 0, 1, "cpu", prepared.manifest, config.batch_plan(1)), target)
    return target


def test_a_family_s_template_is_saved_where_the_tokenizer_has_none(
    qwen_dir: Path, chat_data: Path, home: Path, quick_setup: None, tmp_path: Path
) -> None:
    folder = saved(qwen_dir, chat_data, tmp_path / "result")
    assert (folder / "chat_template.jinja").read_text() == trl_template("qwen2_5.jinja")
    assert (folder / "tokenizer.json").read_bytes() == (qwen_dir / "tokenizer.json").read_bytes()


def test_plain_text_teaches_no_template(
    qwen_dir: Path, home: Path, quick_setup: None, tmp_path: Path
) -> None:
    data = tmp_path / "text.jsonl"
    data.write_text("".join(json.dumps({"text": f"Flag {number} is red."}) + "\n" for number in range(20)))
    folder = saved(qwen_dir, data, tmp_path / "result")
    assert not (folder / "chat_template.jinja").exists()


def test_the_tokenizer_s_own_template_stays(
    byte_model_dir: Path, chat_data: Path, home: Path, quick_setup: None, tmp_path: Path
) -> None:
    folder = saved(byte_model_dir, chat_data, tmp_path / "result")
    own = (byte_model_dir / "chat_template.jinja").read_text()
    assert (folder / "chat_template.jinja").read_text() == own
