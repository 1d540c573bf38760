"""Exports appear whole or not at all, and what they are copies of stays where it is."""

import subprocess
import sys
from pathlib import Path

import pytest

from opensloth_core.errors import StoreError
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.export import export_prepared, export_results
from opensloth_core.store.prepared import prepared_dir

SHARD = "shard-00000-of-00001.arrow"
ADAPTER = {"adapter_model.safetensors": b"weights" * 1000, "adapter_config.json": b"{}"}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def set_outputs(run: RunDirectory, **outputs: Path) -> None:
    """Gives a run's configuration output folders."""
    config = run.config().model_copy(update=outputs)
    run.config_path.write_text(config.model_dump_json())


def test_without_an_output_the_adapter_stays_where_it_is(finished_run: RunDirectory) -> None:
    assert export_results(finished_run) == finished_run.adapter_dir
    assert contents(finished_run.adapter_dir) == ADAPTER


def test_the_output_is_a_copy_of_its_own(finished_run: RunDirectory, tmp_path: Path) -> None:
    output = tmp_path / "new" / "out"
    set_outputs(finished_run, output=output)
    assert export_results(finished_run) == output
    assert contents(output) == contents(finished_run.adapter_dir) == ADAPTER
    (output / "adapter_config.json").write_text("edited")
    assert contents(finished_run.adapter_dir) == ADAPTER
    assert [path.name for path in output.parent.iterdir()] == ["out"]


def test_an_existing_empty_folder_is_filled(finished_run: RunDirectory, tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    set_outputs(finished_run, output=output)
    export_results(finished_run)
    assert contents(output) == ADAPTER


def test_a_relative_output_is_where_the_command_runs(
    finished_run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    set_outputs(finished_run, output=Path("out"))
    assert export_results(finished_run) == tmp_path / "out"
    assert contents(tmp_path / "out") == ADAPTER


def test_exported_data_is_linked_and_the_store_keeps_it(finished_run: RunDirectory, tmp_path: Path) -> None:
    target = tmp_path / "data"
    set_outputs(finished_run, data_output=target)
    assert export_results(finished_run) == finished_run.adapter_dir
    store = prepared_dir("0123abcd")
    assert contents(target) == contents(store)
    assert set(contents(target)) == {SHARD, "manifest.json"}
    assert (target / SHARD).samefile(store / SHARD)
    (target / SHARD).unlink()
    assert (store / SHARD).read_bytes() == b"rows"


def refused(run: RunDirectory, output: Path) -> str:
    set_outputs(run, output=output)
    with pytest.raises(StoreError) as caught:
        export_results(run)
    assert contents(run.adapter_dir) == ADAPTER
    return str(caught.value)


def test_a_target_that_cannot_be_written_names_where_everything_still_is(
    finished_run: RunDirectory, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    output = tmp_path / "file" / "out"
    assert refused(finished_run, output) == (
        f"{output}: cannot export: File exists; everything is still in {finished_run.adapter_dir}"
    )
    assert (tmp_path / "file").read_text() == ""


def test_a_folder_that_was_filled_meanwhile_is_left_alone(finished_run: RunDirectory, tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    (output / "notes.txt").write_text("mine")
    assert refused(finished_run, output) == (
        f"{output}: cannot export: Directory not empty; everything is still in {finished_run.adapter_dir}"
    )
    assert contents(output) == {"notes.txt": b"mine"}
    assert not list(tmp_path.glob(".out*"))


EXPORT_WITH_LITTLE_ROOM = """
import resource, sys
from pathlib import Path
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.export import export_results

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
export_results(RunDirectory(Path(sys.argv[1])))
"""


def test_a_copy_that_breaks_off_is_not_seen_and_the_reason_is_told(
    finished_run: RunDirectory, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    set_outputs(finished_run, output=output)
    assert len(ADAPTER["adapter_model.safetensors"]) > 1000
    done = subprocess.run(
        [sys.executable, "-c", EXPORT_WITH_LITTLE_ROOM, str(finished_run.path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        check=False,
    )
    last_line = done.stderr.splitlines()[-1]
    assert last_line.startswith(
        f"opensloth_core.errors.StoreError: {output}: cannot export: [Errno 27] File too large"
    )
    assert last_line.endswith(f"; everything is still in {finished_run.adapter_dir}")
    assert not output.exists()
    assert not list(tmp_path.glob(".out*"))
    assert contents(finished_run.adapter_dir) == ADAPTER


def test_data_can_be_exported_without_a_run(finished_run: RunDirectory, tmp_path: Path) -> None:
    export_prepared("0123abcd", tmp_path / "copy")
    assert (tmp_path / "copy" / SHARD).read_bytes() == b"rows"
    with pytest.raises(StoreError, match="cannot export: No such file or directory"):
        export_prepared("no-such-key", tmp_path / "other")
    assert not (tmp_path / "other").exists()
