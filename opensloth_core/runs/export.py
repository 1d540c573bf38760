"""Copies of a run's results in folders the user named."""

import os
import shutil
from pathlib import Path

from opensloth_core.checks.roots import check_output_path
from opensloth_core.errors import StoreError
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.store.prepared import prepared_dir


def export_results(run: RunDirectory) -> Path:
    """Copy the adapter to `output` and link the prepared data into `data_output`, where given.

    Gives the adapter's folder, the copy where there is one.

    Raises:
        StoreError: a folder cannot be written; the run directory still holds everything.
    """
    config = run.config()
    if config.data_output is not None:
        export_prepared(run.launch().prepared_key, Path(config.data_output))
    if config.output is None:
        return run.adapter_dir
    _export(run.adapter_dir, Path(config.output), link=False)
    return Path(config.output).absolute()


def export_prepared(key: str, target: Path) -> None:
    """Link the prepared data of a key into a folder.

    Raises:
        StoreError: the folder cannot be written.
    """
    _export(prepared_dir(key), target, link=True)


def _export(source: Path, target: Path, link: bool) -> None:
    """A copy of a folder under a name that appears only when the copy is whole."""
    target = target.absolute()
    check_output_path("output", target)  # a link may have changed since preflight
    partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, partial, copy_function=_link_or_copy if link else shutil.copy2)
        partial.replace(target)  # an empty folder may be there already
    except OSError as err:
        shutil.rmtree(partial, ignore_errors=True)
        # copytree raises one error with a list of (source, target, reason) in it.
        reason = err.args[0][0][2] if isinstance(err, shutil.Error) else err.strerror
        raise StoreError(f"{target}: cannot export: {reason}; everything is still in {source}") from err


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
