"""A run of the command line whose Prefect server cannot be used."""

from pathlib import Path

import pytest

from flows.session import _FlowThread
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import TrainingError
from opensloth_core.runs.directory import RunDirectory


def test_a_configured_server_that_does_not_answer_is_one_sentence_and_no_bug(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    run = RunDirectory.create(OpenSlothConfig(data="a.jsonl", model="org/base"))

    def load() -> object:
        from prefect import flow

        @flow
        async def nothing() -> None:
            raise AssertionError("never begins")

        return nothing

    thread = _FlowThread(load, run.path)  # type: ignore[arg-type]
    thread.start()
    with pytest.raises(
        TrainingError, match=r"server http://127.0.0.1:1/api does not answer: Connection refused; start it"
    ):
        thread.outcome.result(60)
