"""Copies of a run's results in folders the user named."""

import os
import shutil
from pathlib import Path

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
        _export(prepared_dir(run.launch().prepared_key), Path(config.data_output), link=True)
    if config.output is None:
        return run.adapter_dir
    _export(run.adapter_dir, Path(config.output), link=False)
    return Path(config.output).absolute()


def _export(source: Path, target: Path, link: bool) -> None:
    """A copy of a folder under a name that appears only when the copy is whole."""
    target = target.absolute()
    partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, partial, copy_function=_link_or_copy if link else shutil.copy2)
        partial.replace(target)  # an empty folder may be there already
    except OSError as err:
        shutil.rmtree(partial, ignore_errors=True)
        raise StoreError(f"{target}: cannot export: {err.strerror}; everything is still in {source}") from err


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
