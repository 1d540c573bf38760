"""Where a run of a command finds the Prefect server that it is shown on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.conftest import Start, starter


@pytest.fixture
def with_a_server_that_is_down(home: Path) -> Iterator[Start]:
    """Starts `os-data` with some words."""
    yield from starter("os-data", "http://127.0.0.1:1/api", home)


def test_a_configured_server_that_does_not_answer_is_one_sentence_and_no_bug(
    with_a_server_that_is_down: Start, chat_data: Path, tiny_model_dir: Path
) -> None:
    process = with_a_server_that_is_down(chat_data, "--model", tiny_model_dir, "--gpus", 1)
    out, err = process.communicate(timeout=120)
    said = "server http://127.0.0.1:1/api does not answer: Connection refused; start it"
    assert (process.returncode, out) == (1, ""), err
    assert said in err.splitlines()[-1] and "Traceback" not in err, err
