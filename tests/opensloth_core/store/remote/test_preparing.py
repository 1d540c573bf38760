"""Machines with a home of their own and one store between them: what one prepares, no other one tokenizes."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from opensloth_core.api import PreparedData, run_prepare_data
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.errors import StoreError
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.runs.events import read_events
from opensloth_core.store.artifact import MANIFEST
from opensloth_core.store.prepared import find_prepared, prepared_key
from opensloth_core.store.remote.listing import list_artifacts
from opensloth_core.store.remote.place import open_objects
from opensloth_core.store.remote.preparing import find_or_fetch
from opensloth_core.store.verify import verify
from tests.opensloth_core.store.remote.conftest import SECRET_KEY

pytestmark = pytest.mark.timeout(120)


class Machine:
    """A machine, as its environment is a home of its own and the store that is shared."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, lines: pytest.LogCaptureFixture) -> None:
        self.home = home
        self.phases: set[str] = set()
        self._monkeypatch = monkeypatch
        self._lines = lines

    @property
    def said(self) -> str:
        return self._lines.text

    def prepare(
        self,
        config: DatasetPrepConfig,
        gpus: int = 2,
        on_phase: Callable[[str], None] = lambda phase: None,
    ) -> PreparedData:
        self._monkeypatch.setenv("OPENSLOTH_HOME", str(self.home))
        self._lines.clear()
        self.phases = set()

        def progress(phase: str, done: int, total: int | None) -> None:
            self.phases.add(phase)
            on_phase(phase)

        return run_prepare_data(config.model_copy(update={"gpus": gpus}), progress)

    @property
    def tokens(self) -> set[str]:
        """Files with tokens that this machine has."""
        return {path.name for path in (self.home / "store" / "tokens").glob("*/part-*")}


@pytest.fixture
def machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Callable[[str], Machine]:
    return lambda name: Machine(tmp_path / name, monkeypatch, caplog)


@pytest.fixture
def shared(any_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty store of each kind that OPENSLOTH_STORE names."""
    monkeypatch.setenv("OPENSLOTH_STORE", any_url)
    return any_url


@pytest.fixture
def shared_s3(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("OPENSLOTH_STORE", s3_url)
    return s3_url


Machines = Callable[[str], Machine]


def files_of(prepared: PreparedData) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in prepared.folder.iterdir() if path.name != MANIFEST}


def write_rows(path: Path, num_rows: int) -> None:
    rows = ({"question": f"What is {n}?", "answer": f"It is {n}."} for n in range(num_rows))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_second_machine_has_the_same_data_without_tokenizing(
    shared: str,
    config: DatasetPrepConfig,
    machine: Machines,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = machine("first"), machine("second")
    made = first.prepare(config)
    assert "tokenize" in first.phases and "upload" in first.phases
    fetched = second.prepare(config)
    assert second.phases == {"download"}
    assert f"prepared {made.manifest.key[:12]} from {shared}" in second.said
    assert files_of(fetched) == files_of(made)
    assert fetched.manifest == made.manifest
    assert verify(fetched.folder) is None
    assert not second.tokens
    assert second.prepare(config).cached and not second.phases
    # By its key alone, without the source.
    monkeypatch.setenv("OPENSLOTH_HOME", str(tmp_path / "third"))
    assert find_or_fetch("0" * 32) == (None, None)
    assert find_or_fetch(made.manifest.key) == (made.manifest, None)
    assert find_prepared(made.manifest.key) == (made.manifest, None)


def test_another_number_of_gpus_on_a_second_machine_tokenizes_nothing(
    shared: str, config: DatasetPrepConfig, machine: Machines
) -> None:
    first, second = machine("first"), machine("second")
    first.prepare(config, gpus=2)
    second.prepare(config, gpus=1)
    assert "tokenize" not in second.phases
    assert second.tokens == first.tokens
    assert sorted(found.kind for found in list_artifacts(shared)) == ["prepared", "prepared", "tokens"]


def test_rows_appended_on_a_second_machine_are_all_that_it_tokenizes(
    shared_s3: str, config: DatasetPrepConfig, machine: Machines, data_path: Path
) -> None:
    first, second = machine("first"), machine("second")
    write_rows(data_path, 3000)
    first.prepare(config)
    write_rows(data_path, 3100)
    grown = second.prepare(config)
    assert first.tokens < second.tokens and len(second.tokens) == 2
    assert f" from {shared_s3}" in second.said and "tokens" in second.said
    assert grown.manifest.ledger.rows_read == 3100


def test_tokens_of_other_rows_are_left_where_they_are(
    shared_s3: str, config: DatasetPrepConfig, machine: Machines, data_path: Path
) -> None:
    first, second = machine("first"), machine("second")
    first.prepare(config)
    data_path.write_text(data_path.read_text().replace("What", "Which number"))
    second.prepare(config)
    assert "download" not in second.phases and not first.tokens & second.tokens


def test_damaged_data_is_said_to_be_prepared_again_and_shared_again(
    shared: str, config: DatasetPrepConfig, machine: Machines, tmp_path: Path
) -> None:
    made = machine("first").prepare(config)
    objects = open_objects(shared)
    [shard] = [
        path for path in objects.listing("v1/objects/prepared") if path.endswith("00000-of-00002.arrow")
    ]
    (tmp_path / "torn").write_bytes(b"torn")
    objects.upload(tmp_path / "torn", shard)

    second, third = machine("second"), machine("third")
    assert files_of(second.prepare(config)) == files_of(made)
    assert "damaged: shard-00000-of-00002.arrow has 4 bytes, should have" in second.said
    assert files_of(third.prepare(config)) == files_of(made)
    assert third.phases == {"download"} and "damaged:" not in third.said


def test_data_that_is_here_is_used_while_the_server_is_down(
    fragile_url: tuple[str, Callable[[], None]],
    config: DatasetPrepConfig,
    machine: Machines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, end_server = fragile_url
    monkeypatch.setenv("OPENSLOTH_STORE", url)
    here, elsewhere = machine("here"), machine("elsewhere")
    here.prepare(config)
    end_server()
    assert here.prepare(config).cached and not here.said
    with pytest.raises(StoreError, match=f"{url}: the server does not answer; .* unset OPENSLOTH_STORE"):
        elsewhere.prepare(config)
    assert not elsewhere.phases


def test_a_server_that_goes_down_while_data_is_prepared_costs_only_the_sharing(
    fragile_url: tuple[str, Callable[[], None]],
    config: DatasetPrepConfig,
    machine: Machines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, end_server = fragile_url
    monkeypatch.setenv("OPENSLOTH_STORE", url)
    here = machine("here")
    prepared = here.prepare(config, on_phase=lambda phase: end_server() if phase == "tokenize" else None)
    assert verify(prepared.folder) is None
    assert f"warning: prepared, but not shared with other machines: {url}: the server does not" in here.said


@pytest.fixture
def shared_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("OPENSLOTH_STORE", str(tmp_path / "shared"))
    return str(tmp_path / "shared")


def test_data_whose_source_goes_once_it_is_prepared_is_used_and_shared_all_the_same(
    shared_folder: str, config: DatasetPrepConfig, machine: Machines, data_path: Path
) -> None:
    here = machine("here")
    prepared = here.prepare(
        config, on_phase=lambda phase: data_path.unlink(missing_ok=True) if phase == "upload" else None
    )
    assert not data_path.exists() and verify(prepared.folder) is None
    assert "warning:" not in here.said
    assert sorted(found.kind for found in list_artifacts(shared_folder)) == ["prepared", "tokens"]


@pytest.mark.slow
def test_preparation_processes_of_two_machines_tokenize_once(
    shared_s3: str, config: DatasetPrepConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, processes = [], []
    key = prepared_key(config, Path(config.model), 2).digest
    for name in ("first", "second"):
        monkeypatch.setenv("OPENSLOTH_HOME", str(tmp_path / name))
        run = RunDirectory.create(config)
        run.write_launch(Launch(config.model, ("cpu", "cpu"), key))
        worker = [sys.executable, "-m", "opensloth_core.store.prepare_worker", str(run.path)]
        runs.append(run)
        processes.append(subprocess.Popen(worker))
    assert [process.wait(60) for process in processes] == [0, 0]

    events = [read_events(run.events_path) for run in runs]
    phases = [{event["phase"] for event in log if event["kind"] == "progress"} for log in events]
    assert sorted("tokenize" in found for found in phases) == [False, True]
    fetched = next(log for log, found in zip(events, phases, strict=True) if "tokenize" not in found)
    texts = [event["text"] for event in fetched if event["kind"] == "message"]
    assert any(text.startswith(f"prepared {key[:12]} from {shared_s3} (") for text in texts)
    folders = [tmp_path / name / "store" / "prepared" / key for name in ("first", "second")]
    assert [verify(folder) for folder in folders] == [None, None]

    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in written if SECRET_KEY.encode() in path.read_bytes()]
    objects = open_objects(shared_s3)
    for path in objects.listing("v1"):
        assert SECRET_KEY.encode() not in b"".join(objects.blocks(path))
