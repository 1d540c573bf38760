"""The main job as a user runs it: the command, real Prefect, real ranks, a tiny model."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    LogFilter,
    LogFilterFlowRunId,
    TaskRunFilter,
    TaskRunFilterFlowRunId,
)
from prefect.client.schemas.objects import FlowRun, TaskRun

from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import read_events
from opensloth_core.runs.report.evaluated import NOTHING_HELD_OUT
from tests.flows.conftest import Start

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def only_run(home: Path) -> Path:
    (run_dir,) = (home / "runs").iterdir()
    return run_dir


def newest_run(home: Path) -> Path:
    return max((home / "runs").iterdir(), key=lambda path: path.stat().st_mtime_ns)


def states(run_dir: Path) -> list[str]:
    return [e["state"] for e in read_events(run_dir / "events.jsonl") if e["kind"] == "state"]


def pids_of(run_dir: Path) -> list[int]:
    """Processes whose command line names the run's directory."""
    done = subprocess.run(["pgrep", "-f", str(run_dir)], capture_output=True, text=True, check=False)
    return [int(pid) for pid in done.stdout.split()]


async def seen_in_prefect(run_dir: Path) -> tuple[FlowRun, dict[str, TaskRun], dict[str, FlowRun]]:
    """A run's flow run, its tasks by the word their name begins with, and the subflows of its ranks."""
    async with get_client() as client:
        flows = await client.read_flow_runs()
        ours = [flow for flow in flows if flow.parameters.get("run_dir") == str(run_dir)]
        (flow_run,) = [flow for flow in ours if "rank" not in flow.parameters]
        tasks = await client.read_task_runs(
            task_run_filter=TaskRunFilter(flow_run_id=TaskRunFilterFlowRunId(any_=[flow_run.id]))
        )
        # Each subflow has a task run that stands for it in the task which called it.
        by_name = {task.name.split()[0]: task for task in tasks if not task.name.startswith("train-rank")}
        ranks = {flow.name: flow for flow in ours if "rank" in flow.parameters}
        return flow_run, by_name, ranks


async def artifacts_of(flow_run: FlowRun) -> dict[str, str]:
    """What the artifacts of a run show, by their keys; each is there once."""
    async with get_client() as client:
        of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run.id]))
        artifacts = await client.read_artifacts(artifact_filter=of_run)
    keys = [artifact.key or "" for artifact in artifacts]
    assert len(set(keys)) == len(keys)
    return {key: str(artifact.data) for key, artifact in zip(keys, artifacts, strict=True)}


async def made_from(asset: str) -> list[set[str]]:
    """The assets that an asset was made from, each time that it was made; events are stored every 5 s."""
    event_filter = {
        "event": {"name": ["prefect.asset.materialization.succeeded"]},
        "resource": {"id": [asset]},
    }
    async with get_client() as client:
        for _ in range(60):
            answer = await client._client.post("/events/filter", json={"filter": event_filter})
            if found := answer.json()["events"]:
                break
            await asyncio.sleep(0.5)
    return [
        {one["prefect.resource.id"] for one in event["related"] if one["prefect.resource.role"] == "asset"}
        for event in found
    ]


def check_what_the_page_shows(shown: dict[str, str], run_dir: Path) -> None:
    """All artifacts are there, and each shows the end of this run."""
    assert float(shown.pop("training-progress")) == 100
    assert set(shown) == {
        *("data-ledger", "data-card", "loss-curve", "ranks"),
        *("evaluation", "trained-model", "training-report"),
    }
    assert "**Example 3**" in shown["data-card"] and "trained** | **It has" in shown["data-card"]
    assert "](data:image/svg+xml;base64," in shown["loss-curve"] and "Step 3 of 3" in shown["loss-curve"]
    assert [row["rank"] for row in json.loads(shown["ranks"])] == ["0", "1"]
    assert NOTHING_HELD_OUT in shown["evaluation"]
    assert str(run_dir / "adapter") in shown["trained-model"]
    assert "**SFT with LoRA of" in shown["training-report"] and "completed" in shown["training-report"]
    assert "](data:image/svg+xml;base64," in shown["training-report"]


async def logs_of(flow_run: FlowRun) -> str:
    async with get_client() as client:
        logs = await client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run.id])))
        return "\n".join(log.message for log in logs)


async def test_two_ranks_train_then_the_second_run_finds_its_data_cached(
    os_train: Start, home: Path, tiny_model_dir: Path, chat_data: Path, two_cores: None, tmp_path: Path
) -> None:
    command: list[Any] = ["sft", chat_data, "--model", tiny_model_dir, "--gpus", 2, "--max-seq-length", 192]
    command += ["--max-steps", 3, "--lr", "0.05"]

    out, err = (first := os_train(*command, "--output", tmp_path / "mine")).communicate(timeout=200)
    assert first.returncode == 0, err
    run_dir = only_run(home)
    passed = ["created", "preparing", "warming", "training", "saving", "evaluating", "completed"]
    assert states(run_dir) == passed
    assert "Data     prepared in" in out and str(run_dir / "adapter") in out
    assert "40 read = 40 kept" in out
    assert "CPU" in err and "gloo" in err

    flow_run, tasks, ranks = await seen_in_prefect(run_dir)
    assert flow_run.name == "sft · tiny-llama · colours · 2 GPUs"
    assert flow_run.state_name == "Completed"
    check_what_the_page_shows(await artifacts_of(flow_run), run_dir)
    assert set(flow_run.tags) == {"sft", "tiny-llama", "colours", "2 CPU processes", run_dir.name}
    assert set(tasks) == {"preflight", "prepare", "train", "evaluate", "publish"}
    assert {task.state_name for task in tasks.values()} == {"Completed"}
    data_asset = f"opensloth://prepared/{RunDirectory(run_dir).launch().prepared_key}"
    assert await made_from(data_asset) == [set()]
    assert await made_from(f"opensloth://models/{run_dir.name}") == [{data_asset}]
    assert sorted(ranks) == ["rank 0 on cpu", "rank 1 on cpu"]
    for rank in range(2):
        assert f"rank {rank} of 2 on cpu" in await logs_of(ranks[f"rank {rank} on cpu"])
        assert f"rank {rank} of 2 on cpu" in (run_dir / "logs" / f"rank-{rank}.log").read_text()

    check_adapter_loads(tiny_model_dir, run_dir / "adapter")
    check_adapter_loads(tiny_model_dir, tmp_path / "mine")

    out, err = (second := os_train(*command)).communicate(timeout=200)
    assert second.returncode == 0, err
    assert "Data     cached" in out
    _, tasks, _ = await seen_in_prefect(newest_run(home))
    assert tasks["prepare"].state_name == "Cached"
    assert not (newest_run(home) / "logs" / "prepare.log").exists()
    # Data that was found is not made again, and the model is made from it all the same.
    assert await made_from(f"opensloth://models/{newest_run(home).name}") == [{data_asset}]
    assert await made_from(data_asset) == [set()]


def check_adapter_loads(model_dir: Path, adapter_dir: Path) -> None:
    """PEFT loads the adapter, and it changes what the model says."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(adapter_dir)
    base = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
    batch = tokenizer("Which colours has flag 3?", return_tensors="pt")
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    before = base(**inputs).logits
    after = PeftModel.from_pretrained(base, adapter_dir)(**inputs).logits
    assert not torch.allclose(before, after, atol=1e-3)
