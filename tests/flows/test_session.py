"""Where a run of a command finds the Prefect server that it is shown on."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.session import _as_recorded
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import read_events
from opensloth_core.runs.life import recorded
from opensloth_core.runs.lock import run_lock
from tasks import server_gone, show
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


async def test_a_run_that_has_ended_does_not_wait_for_a_server_that_is_gone(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_gone, "SHOW_SECONDS", 0.1)
    monkeypatch.setattr(show, "_left_alone_until", 0.0)
    monkeypatch.setattr(server_gone._Known, "was_gone", False)
    run = RunDirectory.create(OpenSlothConfig.of({"data": "rows.jsonl", "model": "org/base"}))

    async def flow() -> None:
        with run_lock(run), recorded(run):
            await asyncio.sleep(0.5)
        await asyncio.sleep(60)  # as Prefect's client does before it gives up

    gone = "http://127.0.0.1:1/api"
    with temporary_settings({PREFECT_API_URL: gone}):
        await asyncio.wait_for(_as_recorded(flow, run, gone), 10)
    said = [event.get("text", event.get("state")) for event in read_events(run.events_path)]
    end = "does not answer: its page shows the end of this run once another one has started"
    assert said == ["created", "completed", f"Prefect's server {gone} {end}"]
