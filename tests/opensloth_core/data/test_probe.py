from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data import probe as probe_module
from opensloth_core.data.probe import probe
from opensloth_core.data.read.inputs import find_inputs
from opensloth_core.errors import DataError
from tests.opensloth_core.data.questions import question

Write = Callable[..., Path]


def look(*paths: Path, **settings: Any) -> None:
    config = DatasetPrepConfig.of({"data": [str(path) for path in paths], "model": "x", **settings})
    probe(find_inputs(config.data, config.split), config)


def refused(*paths: Path, **settings: Any) -> str:
    with pytest.raises(DataError) as caught:
        look(*paths, **settings)
    return str(caught.value)


def test_good_rows_pass(jsonl: Write) -> None:
    look(jsonl([question(number) for number in range(10)]))


def test_what_preparing_refuses_is_refused(jsonl: Write) -> None:
    assert refused(jsonl([question(1), {"question": "a", "answer": ""}])) == (
        "train: 1 of 2 rows (50.0%) cannot be used, over the limit of 1%: train.jsonl:2: empty content "
        "(answer is empty); mend them or raise --max-rejected"
    )
    assert refused(jsonl([{"x": 1}])).startswith("train.jsonl: no conversation in columns: x; accepted: ")
    assert "preference data" in refused(jsonl([{"prompt": "a", "chosen": "b", "rejected": "c"}]))
    assert "pair of answers" in refused(jsonl([question(1)]), method="dpo")


def test_every_file_of_a_small_input_is_looked_at(jsonl: Write) -> None:
    assert refused(jsonl([question(1)], "a.jsonl"), jsonl([{"x": 1}], "b.jsonl")).startswith(
        "b.jsonl: no conv"
    )


def test_of_a_large_input_only_the_first_chunk_is_looked_at(
    jsonl: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = jsonl([*[question(number) for number in range(2048)], *[{"question": "", "answer": ""}] * 2048])
    assert refused(path).startswith("train: 2048 of 4096 rows (50.0%)")
    monkeypatch.setattr(probe_module, "PROBE_BYTES", 1000)
    look(path)


def test_bad_rows_in_the_first_chunk_of_a_large_input_are_left_to_preparing(
    jsonl: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_module, "PROBE_BYTES", 1000)
    path = jsonl([*[{"question": "", "answer": ""}] * 99, *[question(number) for number in range(5000)]])
    look(path)
