"""Training goes on by itself after an accident, as often as it may, and never after a mistake."""

import asyncio
from pathlib import Path

import pytest

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError, DataError, OpenSlothError, TrainingError
from opensloth_core.launch import restarts
from opensloth_core.launch.process import ProcessFailed, first_failure
from opensloth_core.launch.restarts import is_accident, with_restarts
from opensloth_core.launch.watchdog import Stalled
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.runs.events import read_events


def failed(text: str, by_signal: bool = False, explained: bool = False, ended: float = 0.0) -> ProcessFailed:
    error = ProcessFailed(text)
    error.by_signal, error.explained, error.ended = by_signal, explained, ended
    return error


KILLED = failed("rank 1 was killed by SIGKILL; its last lines:\n    step 3", by_signal=True)


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (KILLED, True),
        (failed("rank 0 exited with code 1; its last lines:\n    DistBackendError: NCCL error"), True),
        (
            failed("rank 0 exited with code 1; its last lines:\n    RuntimeError: CUDA error: unspecified"),
            True,
        ),
        (Stalled("rank 1 made no progress"), True),
        (failed("rank 0 exited with code 1; its last lines:\n    KeyError: 'x'"), False),
        (
            failed("rank 0 exited with code 1;\n    RuntimeError: CUDA error: device-side assert triggered"),
            False,
        ),
        (failed("the loss became nan at step 3", explained=True), False),
        (failed("out of memory on rank 0; NCCL too", explained=True), False),
        (ConfigError("lora_rank 0"), False),
        (DataError("train.jsonl:17"), False),
        (TrainingError("disk full"), False),
    ],
)
def test_only_accidents_are_tried_again(error: OpenSlothError, again: bool) -> None:
    assert is_accident(error) is again


def test_a_rank_that_said_why_it_ended_goes_before_a_peer_that_was_killed_for_it() -> None:
    said = failed("out of memory in the backward pass", explained=True, ended=2.0)
    aborted = failed("rank 1 was killed by SIGABRT", by_signal=True, ended=1.0)
    lost = failed("rank 2 exited with code 1", ended=0.5)
    assert first_failure([lost, aborted, said]) is said
    assert first_failure([lost, aborted]) is aborted


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    monkeypatch.setattr(restarts, "PAUSE_SECONDS", 0.0)
    run = RunDirectory.create(OpenSlothConfig.of({"data": "d.jsonl", "model": "m", "max_restarts": 2}))
    run.write_launch(Launch("model", ("cpu",), "key"))
    run.mark_prepared("key")
    run.rendezvous_path.write_text("of the attempt before")
    return run


def attempts(run: RunDirectory, *errors: OpenSlothError | None) -> list[bool]:
    """Runs attempts that end so; gives whether each found no meeting place of the one before."""
    seen: list[bool] = []
    left = list(errors)

    async def attempt() -> None:
        seen.append(not run.rendezvous_path.exists())
        run.rendezvous_path.write_text("met")
        error = left.pop(0)
        if error is not None:
            raise error

    asyncio.run(with_restarts(run, attempt))
    return seen


def test_it_goes_on_from_the_last_checkpoint_in_the_same_run_with_its_data(run: RunDirectory) -> None:
    assert attempts(run, KILLED, Stalled("rank 0 made no progress"), None) == [False, True, True]
    assert run.is_prepared()
    texts = [event["text"] for event in read_events(run.events_path) if event["kind"] == "message"]
    assert texts == [
        "rank 1 was killed by SIGKILL; its last lines. Restart 1 of at most 2",
        "resuming from the start: there is no whole checkpoint",
        "rank 0 made no progress. Restart 2 of at most 2",
        "resuming from the start: there is no whole checkpoint",
    ]


def test_it_gives_up_after_as_many_restarts_as_allowed(run: RunDirectory) -> None:
    with pytest.raises(ProcessFailed):
        attempts(run, KILLED, KILLED, KILLED, None)
    assert len([event for event in read_events(run.events_path) if event["kind"] == "resumed"]) == 2


def test_a_mistake_is_told_at_once(run: RunDirectory) -> None:
    with pytest.raises(ConfigError):
        attempts(run, ConfigError("lora_rank 0"), None)


def test_nothing_is_restarted_unless_asked_for(home: Path) -> None:
    run = RunDirectory.create(OpenSlothConfig.of({"data": "d.jsonl", "model": "m"}))
    with pytest.raises(ProcessFailed):
        attempts(run, KILLED, None)
