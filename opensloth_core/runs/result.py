"""What earlier runs left to start from."""

from pathlib import Path

from opensloth_core.checks.roots import is_confined, is_run_name
from opensloth_core.errors import ModelError
from opensloth_core.expanded import expanded
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import read_events
from opensloth_core.store.home import home_dir


def named_result(name: str) -> Path:
    """Folder of the result of a run, an adapter or a whole model.

    Args:
        name: the name of a run of this home, or the path of its folder.

    Raises:
        ModelError: there is no such run, or it has no result.
    """
    if is_confined() and not is_run_name(name):
        raise ModelError(f"{name}: give the name of a run of this server, without a folder")
    own = home_dir() / "runs" / name
    for folder in (own,) if is_confined() else (expanded(name).absolute(), own):
        try:
            if _is_run(folder):
                return result_folder(folder)
        except OSError as err:
            raise ModelError(f"{folder}: cannot be read: {err.strerror}") from err
    runs = sorted((home_dir() / "runs").glob("*"), key=lambda path: path.stat().st_mtime)
    newest = f"the newest is {runs[-1].name}" if runs else "there are none yet"
    raise ModelError(f"{name}: no such run in {home_dir() / 'runs'} ({newest}); give a run's name or folder")


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
