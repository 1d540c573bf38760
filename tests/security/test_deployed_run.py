"""Runs of deployments, executed as a worker executes them: what their parameters can and cannot do."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.security.prefect_records import all_records

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

REPOSITORY = Path(__file__).parents[2]


class Server:
    """Starts runs the way the web form does."""

    def __init__(self, api: str, home: Path) -> None:
        self.api = api
        self.home = home

    def block(self, name: str, value: str) -> None:
        """Save a Secret block."""
        program = (
            "import sys; from prefect.blocks.system import Secret; "
            "Secret(value=sys.argv[2]).save(sys.argv[1])"
        )
        subprocess.run([sys.executable, "-c", program, name, value], env=self._environment(), check=True)

    def run(self, entrypoint: str, parameters: dict[str, Any], **environment: str) -> tuple[str, str]:
        """Type and message of the state that a run ends in."""
        run_id = asyncio.run(self._created(entrypoint, parameters))
        subprocess.run(
            [sys.executable, "-m", "prefect", "flow-run", "execute", run_id],
            cwd=REPOSITORY,
            env={**self._environment(), **environment},
            capture_output=True,
            timeout=240,
        )
        state = httpx.get(f"{self.api}/flow_runs/{run_id}").json()["state"]
        return str(state["type"]), str(state["message"])

    async def _created(self, entrypoint: str, parameters: dict[str, Any]) -> str:
        from prefect import get_client
        from prefect.settings import PREFECT_API_URL, temporary_settings

        with temporary_settings({PREFECT_API_URL: self.api}):
            async with get_client() as client:
                flow_id = await client.create_flow_from_name(entrypoint.partition(":")[2])
                deployment = await client.create_deployment(
                    flow_id, "attempt", entrypoint=entrypoint, pull_steps=PULL
                )
                run = await client.create_flow_run_from_deployment(deployment, parameters=parameters)
                return str(run.id)

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if name not in ("HF_TOKEN", "WANDB_API_KEY")
        }
        return {**kept, "PREFECT_API_URL": self.api, "OPENSLOTH_HOME": str(self.home)}


@pytest.fixture
def server(prefect_api: str, home: Path) -> Server:
    return Server(prefect_api, home)


PULL = [{"prefect.deployments.steps.set_working_directory": {"directory": str(REPOSITORY)}}]
"""What deployments/prefect.yaml has a worker do."""

PREPARE, TRAIN = "flows/prepare.py:prepare_data", "flows/finetune.py:finetune_sft"


def test_what_was_not_opened_is_refused_and_what_was_is_prepared(
    server: Server, chat_data: Path, tiny_model_dir: Path, tmp_path: Path
) -> None:
    given = {"data": str(chat_data), "model": str(tiny_model_dir), "gpus": 1, "max_seq_length": 192}
    state, message = server.run(PREPARE, given)
    assert state == "FAILED"
    assert "leads outside of what runs of this server may read" in message

    opened = {"OPENSLOTH_ROOTS": f"{chat_data.parent}:{tiny_model_dir.parent}"}
    outside = {**given, "preparation": {"data_output": str(tmp_path / "out")}}
    state, message = server.run(PREPARE, outside, **opened)
    assert (state, (tmp_path / "out").exists()) == ("FAILED", False)
    assert "may write to" in message

    state, message = server.run(PREPARE, given, **opened)
    assert state == "COMPLETED", message


def test_a_run_directory_of_the_user_s_choice_is_never_touched(
    server: Server, tiny_model_dir: Path, chat_data: Path, tmp_path: Path
) -> None:
    given = {"data": str(chat_data), "model": str(tiny_model_dir), "gpus": 1}
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "config.json").write_text(json.dumps(given))
    state, message = server.run(TRAIN, {**given, "run_dir": str(victim)})
    assert state == "FAILED"
    assert "makes its own directory" in message
    assert [path.name for path in victim.iterdir()] == ["config.json"]

    state, message = server.run(TRAIN, {**given, "resume": str(victim)})
    assert state == "FAILED"
    assert "give the name of a run of this server" in message
    assert [path.name for path in victim.iterdir()] == ["config.json"]


def test_secret_blocks_reach_the_run_and_no_record(
    server: Server, tiny_model_dir: Path, home: Path, tmp_path: Path
) -> None:
    """The reward, which the worker's owner put there, sees what the process has."""
    server.block("hf-token", "planted-token-of-a-block")
    (home / "rewards").mkdir(parents=True)
    (home / "rewards" / "spy.py").write_text(
        f"import os\nopen({str(tmp_path / 'seen')!r}, 'w').write(os.environ.get('HF_TOKEN', 'none'))\n"
        "raise RuntimeError('seen enough')\n"
    )
    (home / "data").mkdir()
    (home / "data" / "a.jsonl").write_text('{"prompt": "Hi?"}\n' * 8)
    given = {
        "data": str(home / "data" / "a.jsonl"),
        "model": str(tiny_model_dir),
        "gpus": 1,
        "reward": "spy:score",
    }
    state, message = server.run(
        "flows/finetune.py:finetune_grpo", given, OPENSLOTH_ROOTS=str(tiny_model_dir.parent)
    )
    assert (state, "seen enough" in message) == ("FAILED", True)
    assert (tmp_path / "seen").read_text() == "planted-token-of-a-block"
    written = all_records(server.api) + "".join(
        path.read_bytes().decode("utf-8", "replace") for path in home.rglob("*") if path.is_file()
    )
    assert "planted-token-of-a-block" not in written
