"""OpenSloth and the bare tokenizer, each measured in a process of its own.

`python -m tests.benchmarks.ours '{"do": "prepare", "config": {…}}'` is one such process.
"""

import json
import math
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import Finished, Measured, report, run_module

_CHUNK_ROWS = 1000
_VARIANTS: dict[str, dict[str, Any]] = {
    "the same again": {},
    "2 GPUs": {"gpus": 2},
    "packs of 1024": {"max_seq_length": 1024},
    "another seed": {"seed": 7},
}

COLD = "cold"


def measure_ours(data: Path, model: str, model_dir: Path, scratch: Path) -> dict[str, Measured]:
    """A cold preparation in a new home that holds the model alone, then others in the same home.

    The second one is cold but for the tokenizer, which the store remembers from the first: other data
    for the same model.
    """
    home = new_home(scratch, model_dir)
    base = preparation_of(data, model)
    cold = prepare_once(base, home)
    for folder in ("tokens", "prepared"):
        shutil.rmtree(home / "store" / folder)
    known = prepare_once(base, home)
    warm = {name: prepare_once({**base, **change}, home) for name, change in _VARIANTS.items()}
    return {COLD: cold, "cold, known tokenizer": known, **warm}


def new_home(scratch: Path, model_dir: Path) -> Path:
    """A new OPENSLOTH_HOME in which the embedded model is built already, and nothing else is."""
    models_dir = scratch / "home" / "models"
    models_dir.mkdir(parents=True)
    (models_dir / model_dir.name).symlink_to(model_dir)
    return models_dir.parent


def preparation_of(data: Path, model: str) -> dict[str, Any]:
    """The settings of every preparation that is measured."""
    return {"data": str(data), "model": model, "gpus": 1, "max_seq_length": 2048}


def prepare_once(config: dict[str, Any], home: Path) -> Measured:
    """`run_prepare_data` in a new process; the work is from its call to its return."""
    done = prepare_in_child(config, home)
    told = done.report
    note = f"{told['packs']} packs, {told['fill']:.2%} full" + (", cached" if told["cached"] else "")
    return done.measured(told["seconds"], note)


def prepare_in_child(config: dict[str, Any], home: Path) -> Finished:
    """A new process that calls `run_prepare_data` and reports what came of it."""
    return run_module("ours", {"do": "prepare", "config": config}, {"OPENSLOTH_HOME": str(home)})


def measure_bare(data: Path, model_dir: Path, scratch: Path) -> dict[str, Measured]:
    """`encode_batch` alone, on texts that were rendered before the clock started."""
    measured = {}
    for name, chunk_rows in (("one call", 0), (f"calls of {_CHUNK_ROWS} texts", _CHUNK_ROWS)):
        asked = {"do": "encode", "data": str(data), "model_dir": str(model_dir), "chunk_rows": chunk_rows}
        done = run_module("ours", asked, {"TOKENIZERS_PARALLELISM": "true"})
        told = done.report
        # Most of the process is the rendering, which is not what is measured.
        measured[name] = done.measured(told["seconds"], f"{told['tokens']} tokens", math.nan)
    return measured


def _prepare(config: dict[str, Any]) -> None:
    from opensloth_core import run_prepare_data

    began = time.perf_counter()
    prepared = run_prepare_data(config)
    seconds = time.perf_counter() - began
    ledger = prepared.manifest.ledger
    report(
        seconds=seconds,
        cached=prepared.cached,
        packs=ledger.packs,
        fill=ledger.fill,
        folder=str(prepared.folder),
        shards=list(prepared.manifest.shards),
    )


def _encode(data: Path, model_dir: Path, chunk_rows: int) -> None:
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    renderer = AutoTokenizer.from_pretrained(model_dir)
    with data.open(encoding="utf-8") as lines:
        texts = [renderer.apply_chat_template(json.loads(line)["messages"], tokenize=False) for line in lines]
    # Read anew: a tokenizer that has encoded before remembers words.
    tokenizer = Tokenizer.from_file(str(model_dir / "tokenizer.json"))
    step = chunk_rows or len(texts)
    chunks = [texts[at : at + step] for at in range(0, len(texts), step)]
    num_tokens, seconds = 0, 0.0
    for chunk in chunks:
        began = time.perf_counter()
        encodings = tokenizer.encode_batch(chunk, add_special_tokens=False)
        seconds += time.perf_counter() - began
        num_tokens += sum(map(len, encodings))
    report(seconds=seconds, texts=len(texts), tokens=num_tokens)


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    if asked["do"] == "prepare":
        _prepare(asked["config"])
    else:
        _encode(Path(asked["data"]), Path(asked["model_dir"]), asked["chunk_rows"])
