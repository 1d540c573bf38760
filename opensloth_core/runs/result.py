"""What earlier runs left to start from."""

from pathlib import Path

from opensloth_core.checks.roots import is_confined, is_run_name
from opensloth_core.errors import ModelError
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import read_events
from opensloth_core.runs.find import run_that_trained


def named_result(name: str) -> Path:
    """Folder of the result of a run, an adapter or a whole model.

    Args:
        name: a run, see `run_that_trained`.

    Raises:
        ConfigError: no run is called so, or several begin so.
        ModelError: the run trained nothing or has no result, or its folder cannot be read.
    """
    if is_confined() and not is_run_name(name):
        raise ModelError(f"{name}: give the name of a run of this server, without a folder")
    try:
        return result_folder(run_that_trained(name).path)
    except OSError as err:
        raise ModelError(f"{name}: cannot be read: {err.strerror}") from err


def result_folder(folder: Path) -> Path:
    """What is trained on where a user names `folder`: of a run its result, else the folder itself.

    Raises:
        ModelError: the run has no result, or a checkpoint is named.
    """
    if _is_run(folder.parent.parent) and folder.parent == RunDirectory(folder.parent.parent).checkpoints_dir:
        raise ModelError(
            f"{folder}: is a checkpoint, which only its own run can go on from; resume that run, or give its "
            f"folder {folder.parent.parent} once it has a result"
        )
    if not _is_run(folder):
        return folder
    run = RunDirectory(folder)
    if run.adapter_dir.is_dir():
        return run.adapter_dir
    states = [event for event in read_events(run.events_path) if event["kind"] == "state"]
    state = states[-1]["state"] if states else "unknown"
    raise ModelError(
        f"{folder}: the run has no result to start from: its state is {state}; let it end or resume it, or "
        "give another run"
    )


def _is_run(folder: Path) -> bool:
    return RunDirectory(folder).events_path.is_file()
