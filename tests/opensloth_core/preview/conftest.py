"""Prepared data to look at."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.api import PreparedData, run_prepare_data
from opensloth_core.preview.preview import Preview

Prepared = Callable[..., PreparedData]


@pytest.fixture
def prepared(home: Path, tmp_path: Path, tiny_model_dir: Path) -> Prepared:
    """Prepares rows for the tiny model, whose tokens are bytes."""

    def prepare(rows: list[dict[str, Any]], **settings: Any) -> PreparedData:
        data = tmp_path / "rows.jsonl"
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
        given = {"data": str(data), "model": str(tiny_model_dir), "gpus": 1, "max_seq_length": 192}
        return run_prepare_data({**given, **settings})

    return prepare


@pytest.fixture
def preview(prepared: Prepared, tiny_model_dir: Path) -> Callable[..., Preview]:
    """The preview of rows."""

    def make(rows: list[dict[str, Any]], num_examples: int = 3, **settings: Any) -> Preview:
        made = prepared(rows, **settings)
        return Preview.of(made.folder, made.manifest, tiny_model_dir, num_examples)

    return make
