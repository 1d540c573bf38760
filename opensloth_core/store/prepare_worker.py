"""The process that prepares a run's data: `python -m opensloth_core.store.prepare_worker RUN_DIR`.

A process of its own, so that the flow stays responsive while data is prepared, can be ended at any
moment, and never imports transformers.
"""

from pathlib import Path

from opensloth_core.errors import DataError, StoreError
from opensloth_core.launch.child import run_child
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.store.obtain import obtain
from opensloth_core.store.prepared import prepared_key
from opensloth_core.store.single_flight import Asker

TEMPORARY = "temporary: a disk or a connection failed, which may work when it is tried again"
"""Printed before an error that is worth another try."""

_CONNECTION = frozenset({"ConnectionError", "HTTPClientError"})
"""Classes that the libraries of remote stores derive failed connections from."""


def main(run_dir: Path) -> None:
    """Prepare the data of a run into the store."""
    run = RunDirectory(run_dir)
    config, launch = run.preparation(), run.launch()
    key = prepared_key(config, launch.tokenizer_folder, launch.world_size)
    if key.digest != launch.prepared_key:
        raise DataError(f"{config.data_title}: changed since the run began (or the tokenizer did); run again")
    try:
        obtain(
            config,
            launch.tokenizer_folder,
            launch.world_size,
            key,
            run.events.progress,
            Asker(f"run {run.path.name}", lambda text: _say(run, text)),
        )
    except StoreError as err:
        if is_temporary(err):
            print(TEMPORARY, flush=True)
        raise


def is_temporary(err: StoreError) -> bool:
    """Whether an error of the store came of a disk or a connection, and not of what is in the store."""
    cause: BaseException | None = err
    while cause is not None and not _is_of_a_disk_or_connection(cause):
        cause = cause.__cause__
    return cause is not None


def _is_of_a_disk_or_connection(err: BaseException) -> bool:
    # botocore's are no OSErrors.
    return isinstance(err, OSError) or any(kind.__name__ in _CONNECTION for kind in type(err).__mro__)


def _say(run: RunDirectory, text: str) -> None:
    """To the person watching, and to Prefect's log, which has what this process prints."""
    run.events.message(text)
    print(text, flush=True)


if __name__ == "__main__":
    run_child(main)
