"""On a real Prefect server, preparation is tried again where a disk failed, never for a user's mistake."""

import asyncio
import time
from pathlib import Path

import pytest
from prefect import flow, get_client
from prefect.client.schemas.filters import TaskRunFilter, TaskRunFilterFlowRunId
from prefect.context import FlowRunContext

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError, StoreError
from opensloth_core.launch.process import ProcessFailed
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.runs.events import read_events
from opensloth_core.store.prepared import find_prepared, prepared_key
from tasks import prepare_dataset
from tasks.prepare_dataset import prepared_or_cached

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.usefixtures("prefect_api")]

NO_FOLDER = (
    "cannot write the artifact store: Not a directory; "
    "make room, or set OPENSLOTH_HOME to a folder you can write"
)


class Preparation:
    """One preparation, and what was seen of it."""

    def __init__(self, data: Path, model_dir: Path) -> None:
        values = {"data": str(data), "model": str(model_dir), "gpus": 1, "max_seq_length": 192}
        config = OpenSlothConfig.of(values)
        self.run = RunDirectory.create(config)
        self.key = prepared_key(config.preparation, model_dir, 1).digest
        self.run.write_launch(Launch(str(model_dir), ("cpu",), self.key))
        self.run_count = 0

    async def prepare(self) -> bool:
        """Whether it was cached."""

        @flow
        async def prepare_only() -> bool:
            context = FlowRunContext.get()
            assert context and context.flow_run
            try:
                return (await prepared_or_cached(self.run.path, self.key)).is_cached
            finally:
                of_flow = TaskRunFilterFlowRunId(any_=[context.flow_run.id])
                async with get_client() as client:
                    tasks = await client.read_task_runs(task_run_filter=TaskRunFilter(flow_run_id=of_flow))
                    self.run_count = tasks[0].run_count if tasks else 0

        return await prepare_only()

    def warnings(self) -> list[tuple[float, str]]:
        """When and what it warned of."""
        events = read_events(self.run.events_path)
        return [(event["time"], str(event["text"])) for event in events if event.get("level") == "warning"]


@pytest.fixture
def preparation(home: Path, chat_data: Path, tiny_model_dir: Path) -> Preparation:
    return Preparation(chat_data, tiny_model_dir)


def in_the_way(home: Path) -> Path:
    """A file where the store wants to have its folder of prepared data."""
    (home / "store").mkdir(exist_ok=True)
    path = home / "store" / "prepared"
    path.write_text("")
    return path


async def test_a_store_that_can_be_written_again_is_written_at_the_next_try(
    home: Path, preparation: Preparation
) -> None:
    path = in_the_way(home)

    async def make_way() -> None:
        while not preparation.warnings():
            await asyncio.sleep(0.05)
        path.unlink()

    helper = asyncio.create_task(make_way())
    assert not await preparation.prepare()
    await helper
    assert find_prepared(preparation.key)[0] is not None
    ((_, warning),) = preparation.warnings()
    assert warning == f"{path}: {NO_FOLDER}; trying again in 2 s (1 of 3 tries failed)"
    assert preparation.run_count == 2


async def test_a_store_that_stays_unwritable_is_given_up_after_three_tries(
    home: Path, preparation: Preparation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare_dataset, "RETRY_SECONDS", (0.5, 1.5))
    path = in_the_way(home)
    began = time.time()
    with pytest.raises(StoreError) as caught:
        await preparation.prepare()
    error = f"{path}: {NO_FOLDER}"
    assert str(caught.value) == error
    (first, one), (second, two) = preparation.warnings()
    assert one == f"{error}; trying again in 0.5 s (1 of 3 tries failed)"
    assert two == f"{error}; trying again in 1.5 s (2 of 3 tries failed)"
    assert second - first > 0.5 and time.time() - began > 2
    assert preparation.run_count == 3


async def test_a_user_s_mistake_is_not_tried_again(home: Path, tiny_model_dir: Path, tmp_path: Path) -> None:
    data = tmp_path / "broken.jsonl"
    data.write_text('{"question": "What?", "answer": "That."}\n' + "broken\n" * 5)
    preparation = Preparation(data, tiny_model_dir)
    with pytest.raises(ConfigError, match="cannot be used"):
        await preparation.prepare()
    assert (preparation.run_count, preparation.warnings()) == (1, [])


async def test_a_preparation_that_somebody_killed_is_not_tried_again(
    home: Path, preparation: Preparation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It kills itself where it would import what it does.
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif 'opensloth_core.store.prepare_worker' in sys.orig_argv: os.kill(os.getpid(), 9)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ProcessFailed, match="data preparation was killed by SIGKILL"):
        await preparation.prepare()
    assert (preparation.run_count, preparation.warnings()) == (1, [])


async def test_prepared_data_that_prefect_cannot_note_down_is_used_all_the_same(
    home: Path, preparation: Preparation
) -> None:
    (home / "store").mkdir(exist_ok=True)
    (home / "store" / "records").write_text("")
    assert not await preparation.prepare()
    assert find_prepared(preparation.key)[0] is not None
    assert not await preparation.prepare()
    (home / "store" / "records").unlink()
    assert not await preparation.prepare()
    assert await preparation.prepare()
    assert preparation.warnings() == []
