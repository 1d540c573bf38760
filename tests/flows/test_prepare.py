"""Data prepared alone, as a user does it: the command, real Prefect, a tiny model."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from prefect import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterTaskRunId,
    TaskRunFilter,
    TaskRunFilterFlowRunId,
)
from prefect.client.schemas.objects import Artifact, TaskRun

from opensloth_core.runs.events import read_events
from tests.flows.conftest import Start

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def run_dirs(home: Path) -> list[Path]:
    return sorted((home / "runs").iterdir(), key=lambda path: path.stat().st_mtime_ns)


async def task_and_artifacts(run_dir: Path) -> tuple[TaskRun, dict[str, Artifact]]:
    """The task that prepared a run's data or found it, and what it shows, by type."""
    async with get_client() as client:
        flows = await client.read_flow_runs()
        (flow_run,) = [flow for flow in flows if flow.parameters.get("run_dir") == str(run_dir)]
        tasks = await client.read_task_runs(
            task_run_filter=TaskRunFilter(flow_run_id=TaskRunFilterFlowRunId(any_=[flow_run.id]))
        )
        (task,) = [task for task in tasks if task.name.startswith("prepare ")]
        of_task = ArtifactFilter(task_run_id=ArtifactFilterTaskRunId(any_=[task.id]))
        artifacts = await client.read_artifacts(artifact_filter=of_task)
        return task, {str(artifact.type): artifact for artifact in artifacts}


async def test_the_second_time_the_data_is_cached_and_both_times_its_ledger_is_shown(
    os_data: Start, home: Path, tiny_model_dir: Path, chat_data: Path
) -> None:
    command = [chat_data, "--model", tiny_model_dir, "--gpus", 64, "--max-seq-length", 192]
    out, err = (first := os_data(*command)).communicate(timeout=120)
    assert first.returncode == 0, err
    assert "Data     prepared in" in out and "40 read = 40 kept" in out
    out, err = (second := os_data(*command)).communicate(timeout=120)
    assert second.returncode == 0, err
    assert "Data     cached" in out and "40 read = 40 kept" in out
    (folder,) = (home / "store" / "prepared").glob("[!.]*/")
    assert str(folder) in out
    assert len(list(folder.glob("shard-*-of-00064.arrow"))) == 64

    states = ["Completed", "Cached"]
    for run_dir, state in zip(run_dirs(home), states, strict=True):
        task, artifacts = await task_and_artifacts(run_dir)
        assert task.state_name == state
        assert [artifacts[kind].key for kind in ("table", "markdown")] == ["data-ledger", "data-card"]
        table = json.loads(str(artifacts["table"].data))
        assert {"what": "Rows", "number": "40", "is": "read"} in table
        assert folder.name in str(artifacts["markdown"].data)
        events = read_events(run_dir / "events.jsonl")
        recorded = [event["state"] for event in events if event["kind"] == "state"]
        assert recorded == ["created", "preparing", "completed"]


@pytest.mark.parametrize(
    ("method", "row"),
    [
        ("dpo", {"prompt": "Why?", "chosen": "Because of that.", "rejected": "No."}),
        ("grpo", {"prompt": "2 + 2?", "solution": "4"}),
    ],
)
def test_every_method_is_prepared_and_exported(
    method: str, row: dict[str, str], os_data: Start, tiny_model_dir: Path, tmp_path: Path
) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps({**row, "prompt": f"{n}: {row['prompt']}"}) + "\n" for n in range(4)))
    command = [
        data,
        "--method",
        method,
        "--model",
        tiny_model_dir,
        "--gpus",
        1,
        "--output",
        tmp_path / "mine",
    ]
    out, err = (process := os_data(*command)).communicate(timeout=120)
    assert process.returncode == 0, err
    assert "4 read = 4 kept" in out and "4 examples, nothing is packed" in out
    assert json.loads((tmp_path / "mine" / "manifest.json").read_text())["preparation"]["method"] == method


def test_a_mistake_in_the_data_is_one_line_and_nothing_is_prepared(
    os_data: Start, home: Path, tiny_model_dir: Path, tmp_path: Path
) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text('{"question": "q", "answer": "a"}\nbroken\n')
    process = os_data(data, "--model", tiny_model_dir)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("os-data: rows: 1 of 2 rows (50.0%) cannot be used")
    assert "rows.jsonl:2" in err and "--max-rejected" in err
    assert not (home / "runs").exists()


def test_ctrl_c_ends_a_command_that_hashes_a_great_file(
    os_data: Start, home: Path, tiny_model_dir: Path, tmp_path: Path
) -> None:
    data = tmp_path / "great.jsonl"
    data.write_text('{"question": "q", "answer": "a"}\n' * 5000)
    os.truncate(data, 400 << 30)  # of holes, which take minutes to read and no room
    process = os_data(data, "--model", tiny_model_dir, "--gpus", 1)
    assert process.stderr is not None
    assert any(line[9:].startswith("hash ") for line in process.stderr)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    (run_dir,) = run_dirs(home)
    last = read_events(run_dir / "events.jsonl")[-1]
    assert (last["kind"], last["state"]) == ("state", "cancelled")


def test_ctrl_c_in_a_terminal_ends_a_run_that_has_a_server_of_its_own(
    home: Path, tiny_model_dir: Path, chat_data: Path, tmp_path: Path
) -> None:
    # Without a server that is configured; a terminal interrupts every process of the command.
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.cli.entry", "os-data", chat_data, "--model", tiny_model_dir],
        env={**env, "OPENSLOTH_HOME": str(home), "PREFECT_HOME": str(tmp_path / "prefect")},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line[9:])
        if "preparing data" in line:
            os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) == 130
    after = lines[lines.index("preparing data\n") :]
    # On a busy machine it may have come further before the signal is seen; one line more says why it ended.
    assert "stopping\n" in after and after[-2] == "cancelled\n"
