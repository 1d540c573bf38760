"""The Python code that a model's folder brings never runs unless that was asked for."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.data.encode_setup import load_setup
from opensloth_core.errors import ModelError
from opensloth_core.models.start import refuse_start

CODE = """
from pathlib import Path
Path({canary!r}).touch()
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
class EvilConfig(LlamaConfig):
    model_type = {model_type!r}
class EvilModel(LlamaForCausalLM):
    config_class = EvilConfig
class EvilTokenizer(PreTrainedTokenizerFast):
    pass
"""


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file that is there as soon as the model's code has run."""
    return tmp_path / "canary"


def evil_model(tmp_path: Path, tiny_model_dir: Path, canary: Path, model_type: str) -> Path:
    """A real model that asks transformers at every place it looks to run its own code."""
    folder = Path(shutil.copytree(tiny_model_dir, tmp_path / "evil"))
    (folder / "evil.py").write_text(CODE.format(canary=str(canary), model_type=model_type))
    config = json.loads((folder / "config.json").read_text())
    classes = {
        "AutoConfig": "evil.EvilConfig",
        "AutoModel": "evil.EvilModel",
        "AutoModelForCausalLM": "evil.EvilModel",
        "AutoTokenizer": ["evil.EvilTokenizer", "evil.EvilTokenizer"],
        "AutoProcessor": "evil.EvilTokenizer",
    }
    config |= {"model_type": model_type, "auto_map": classes}
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer_config.json", "generation_config.json", "preprocessor_config.json"):
        path = folder / name
        values = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**values, "auto_map": classes, "custom_generate": "evil.py"}))
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text((folder / "evil.py").read_text())
    return folder


def config(model: Path, **settings: object) -> OpenSlothConfig:
    return OpenSlothConfig.of({"data": "x.jsonl", "model": str(model), "gpus": 1, **settings})


@pytest.mark.parametrize("model_type", ["llama", "evil"])
def test_reading_the_tokenizer_runs_none_of_it(
    tmp_path: Path, tiny_model_dir: Path, canary: Path, model_type: str
) -> None:
    folder = evil_model(tmp_path, tiny_model_dir, canary, model_type)
    try:
        load_setup(folder, "assistant", True)
    except ModelError as err:
        assert "no tokenizer can be loaded" in str(err)
    assert not canary.exists()


def test_a_model_that_needs_its_code_is_refused_before_anything_starts(
    tmp_path: Path, tiny_model_dir: Path, canary: Path
) -> None:
    folder = evil_model(tmp_path, tiny_model_dir, canary, "evil")
    with pytest.raises(ModelError, match=r"does not know the architecture evil.*give trust_remote_code"):
        refuse_start(config(folder))
    refuse_start(config(folder, trust_remote_code=True))
    assert not canary.exists()


LOAD = """
import sys
import unsloth
from pathlib import Path
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.directory import Launch
from opensloth_core.training.model import load_model
config = OpenSlothConfig.of(
    {
        "data": "x",
        "model": sys.argv[1],
        "gpus": 1,
        "dtype": "float32",
        "trust_remote_code": sys.argv[2] == "yes",
    }
)
model, tokenizer = load_model(config, Launch(sys.argv[1], ("cpu",), ""), "cpu")
print(type(model).__name__)
"""

MERGE = """
import sys
from pathlib import Path
from opensloth_core.models.merge import merge
from transformers import AutoConfig, AutoModelForCausalLM
from peft import LoraConfig, get_peft_model
clean, evil, target = map(Path, sys.argv[1:])
lora = LoraConfig(r=2, target_modules=["q_proj"])
model = get_peft_model(AutoModelForCausalLM.from_pretrained(clean), lora)
model.save_pretrained(target / "adapter")
import json
path = target / "adapter" / "adapter_config.json"
named = json.loads(path.read_text())
named["auto_mapping"] = {"base_model_class": "EvilModel", "parent_library": "evil"}
path.write_text(json.dumps(named))
merge(evil, target / "adapter", target / "merged")
"""


def run(program: str, tmp_path: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, words)],
        cwd=Path(__file__).parents[2],
        env={
            **os.environ,
            "OPENSLOTH_HOME": str(tmp_path / "home"),
            "HF_MODULES_CACHE": str(tmp_path / "modules"),
            "HF_HUB_OFFLINE": "1",
            "UNSLOTH_COMPILE_LOCATION": str(tmp_path / "compiled"),
            "CUDA_VISIBLE_DEVICES": "",
        },
        capture_output=True,
        text=True,
        timeout=240,
        stdin=subprocess.DEVNULL,
    )


TRUST = """
import sys
from transformers import AutoConfig
AutoConfig.from_pretrained(sys.argv[1], trust_remote_code=True)
"""


def test_the_model_s_code_would_work(tmp_path: Path, tiny_model_dir: Path, canary: Path) -> None:
    done = run(TRUST, tmp_path, evil_model(tmp_path, tiny_model_dir, canary, "llama"))
    assert done.returncode == 0, done.stderr[-2000:]
    assert canary.exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_loading_it_to_train_runs_none_of_it(tmp_path: Path, tiny_model_dir: Path, canary: Path) -> None:
    folder = evil_model(tmp_path, tiny_model_dir, canary, "llama")
    done = run(LOAD, tmp_path, folder, "no")
    assert done.returncode == 0, done.stderr[-2000:]
    assert not canary.exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_merging_runs_none_of_it(tmp_path: Path, tiny_model_dir: Path, canary: Path) -> None:
    folder = evil_model(tmp_path, tiny_model_dir, canary, "llama")
    done = run(MERGE, tmp_path, tiny_model_dir, folder, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert not canary.exists()
