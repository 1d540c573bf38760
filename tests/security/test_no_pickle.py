"""Nothing that is stored, downloaded or given can have itself unpickled or imported."""

import ast
import base64
import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from opensloth_core.checks.weights import check_weights
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.data.read.inputs import InputReader, find_inputs
from opensloth_core.errors import ModelError, StoreError
from opensloth_core.models.start import refuse_start

REPOSITORY = Path(__file__).parents[2]

PIPES = {
    "opensloth_core/data/encode_worker.py",
    "opensloth_core/data/setup_worker.py",
    "opensloth_core/launch/helper_process.py",
}
"""Who unpickles: two ends of a pipe between a process of ours and its child, never a file."""

LOADERS = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file that is there as soon as one of these payloads has run."""
    return tmp_path / "canary"


def test_the_payload_would_work(canary: Path) -> None:
    pickle.loads(pickle.dumps(Canary(canary)))
    assert canary.exists()


def test_only_the_pipes_between_our_processes_unpickle() -> None:
    found = set()
    for folder in ("flows", "tasks", "opensloth_core"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name.split(".")[0] for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    names = [(node.module or "").split(".")[0]]
                elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    names = ["pickle"] if (node.value.id, node.attr) == ("torch", "load") else []
                if LOADERS & set(names):
                    found.add(path.relative_to(REPOSITORY).as_posix())
    assert found == PIPES


@pytest.mark.parametrize("suffix", [".arrow", ".parquet"])
def test_a_table_that_asks_to_be_unpickled_is_data_like_any_other(
    tmp_path: Path, canary: Path, suffix: str
) -> None:
    payload = pickle.dumps(Canary(canary))
    # What pyarrow unpickled before version 14.0.1 (CVE-2023-47248), and what pandas and datasets look at.
    field = pa.field(
        "text",
        pa.string(),
        metadata={
            "ARROW:extension:name": "arrow.py_extension_type",
            "ARROW:extension:metadata": payload,
        },
    )
    about = {"pandas": payload, "huggingface": base64.b64encode(payload)}
    table = pa.table([pa.array(["x"])], pa.schema([field], metadata=about))
    path = tmp_path / f"a{suffix}"
    if suffix == ".parquet":
        pq.write_table(table, path)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    (found,) = find_inputs([str(path)], None)
    assert [getattr(row, "source", None) for row in InputReader(found)] == [b'{"text":"x"}']
    assert not canary.exists()


def config(model: Path) -> OpenSlothConfig:
    return OpenSlothConfig.of({"data": "x.jsonl", "model": str(model), "gpus": 1})


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "consolidated.00.pth"])
def test_pickled_weights_alone_are_refused_with_the_way_out(
    tmp_path: Path, tiny_model_dir: Path, canary: Path, name: str
) -> None:
    folder = Path(shutil.copytree(tiny_model_dir, tmp_path / "model"))
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(pickle.dumps(Canary(canary)))
    with pytest.raises(ModelError, match=rf"pickled \({name}\).*save_pretrained\(NEW_FOLDER\)"):
        refuse_start(config(folder))
    assert not canary.exists()


def test_a_pickle_beside_safetensors_is_passed_over(tmp_path: Path, tiny_model_dir: Path) -> None:
    folder = Path(shutil.copytree(tiny_model_dir, tmp_path / "model"))
    (folder / "pytorch_model.bin").write_bytes(b"anything")
    refuse_start(config(folder))


@pytest.mark.parametrize("name", ["../other.safetensors", "/etc/passwd", "pytorch_model.bin"])
def test_an_index_that_names_other_files_is_refused(tmp_path: Path, tiny_model_dir: Path, name: str) -> None:
    folder = Path(shutil.copytree(tiny_model_dir, tmp_path / "model"))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(ModelError, match="not a safetensors file beside it"):
        check_weights(folder)


@pytest.mark.parametrize(
    "stored",
    [
        {"__class__": "subprocess.check_output", "data": ["touch", "CANARY"]},
        {"__class__": "os.system", "data": ["touch CANARY"]},
        {"__exc_type__": "subprocess.CalledProcessError", "message": "x"},
    ],
)
def test_a_stored_result_calls_nothing(canary: Path, stored: dict[str, Any]) -> None:
    from tasks.manifest_serializer import ManifestSerializer

    with pytest.raises(ValueError, match="validation error"):
        ManifestSerializer().loads(json.dumps(stored).replace("CANARY", str(canary)).encode())
    assert not canary.exists()


@pytest.mark.parametrize(
    "serializer",
    [
        {"type": "pickle"},
        {"type": "compressed/pickle"},
        {"type": "json", "object_decoder": "os.system"},
        {"type": "json", "jsonlib": "pickle"},
        {"type": "opensloth-manifest", "more": 1},
        None,
    ],
)
def test_a_record_cannot_choose_how_its_result_is_read(serializer: object) -> None:
    from tasks.manifest_serializer import check_record

    with pytest.raises(StoreError, match="not a manifest as JSON; remove it"):
        check_record(json.dumps({"serializer": serializer}).encode(), Path("record"))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("prefect_api", "home")
async def test_whoever_writes_into_the_store_runs_nothing_on_its_readers(
    chat_data: Path, tiny_model_dir: Path, canary: Path
) -> None:
    from prefect import flow

    from opensloth_core.runs.directory import Launch, RunDirectory
    from opensloth_core.store.prepared import prepared_key
    from tasks.artifact_cache import records_dir, results_dir
    from tasks.prepare_dataset import prepared_or_cached

    given = OpenSlothConfig.of({"data": str(chat_data), "model": str(tiny_model_dir), "gpus": 1})
    key = prepared_key(given.preparation, tiny_model_dir, 1).digest

    @flow
    async def prepare_once() -> bool:
        run = RunDirectory.create(given)
        run.write_launch(Launch(str(tiny_model_dir), ("cpu",), key))
        return (await prepared_or_cached(run.path, key)).is_cached

    assert not await prepare_once()
    assert await prepare_once()
    (record,) = [path for path in records_dir().rglob("*") if path.is_file()]
    whole, result = record.read_bytes(), results_dir() / key

    pickled = base64.encodebytes(pickle.dumps(Canary(canary)))
    record.write_text(json.dumps({**json.loads(whole), "serializer": {"type": "pickle"}}))
    result.write_bytes(pickled)
    assert not await prepare_once()

    record.write_text(json.dumps({**json.loads(whole), "serializer": {"type": "json"}}))
    result.write_text(json.dumps({"__class__": "subprocess.check_output", "data": ["touch", str(canary)]}))
    assert not await prepare_once()
    assert await prepare_once()
    assert not canary.exists()
