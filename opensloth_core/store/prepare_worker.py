"""The process that prepares a run's data: `python -m opensloth_core.store.prepare_worker RUN_DIR`.

A process of its own, so that the flow stays responsive while data is prepared, can be ended at any
moment, and never imports transformers.
"""

import errno
from collections.abc import Iterator
from pathlib import Path

from opensloth_core.errors import DataError, OpenSlothError, StoreError
from opensloth_core.launch.child import run_child
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.store.obtain import obtain
from opensloth_core.store.prepared import prepared_key
from opensloth_core.store.single_flight import Asker

TEMPORARY = "temporary: a disk or a connection failed, which may work when it is tried again"
"""Printed before an error that is worth another try."""

_CONNECTION = frozenset(
    {
        "ConnectionError",  # of Python, requests and botocore
        "TimeoutError",
        "Timeout",
        "HTTPClientError",  # botocore
        "ClientConnectionError",  # aiohttp
        "ClientPayloadError",
        "ChunkedEncodingError",  # requests
        "TransportError",  # httpx
    }
)
"""Classes that the libraries of remote files derive failed connections from."""

_TRY_LATER = {408, 429}
"""What a web server answers that is too busy, besides 500 and above."""

_OF_THE_NAME = {
    errno.ENOENT,
    errno.EACCES,
    errno.EPERM,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EINVAL,
}
"""Why an input cannot be read that is not there, or not to be read: that stays so."""


def main(run_dir: Path) -> None:
    """Prepare the data of a run into the store.

    Raises:
        StoreError: the store cannot be used, or a disk or a connection failed, of which `TEMPORARY` is said.
        OpenSlothError: see `obtain`.
    """
    run = RunDirectory(run_dir)
    try:
        _prepare(run)
    except (DataError, StoreError) as err:
        if not is_temporary(err):
            raise
        print(TEMPORARY, flush=True)
        # Also where it was the input that could not be read, which is no mistake of the user's.
        raise StoreError(str(err)) from err


def _prepare(run: RunDirectory) -> None:
    config, launch = run.preparation(), run.launch()
    key = prepared_key(config, launch.tokenizer_folder, launch.world_size)
    if key.digest != launch.prepared_key:
        raise DataError(f"{config.data_title}: changed since the run began (or the tokenizer did); run again")
    obtain(
        config,
        launch.tokenizer_folder,
        launch.world_size,
        key,
        run.events.progress,
        Asker(f"run {run.path.name}", lambda text: _say(run, text)),
    )


def is_temporary(err: DataError | StoreError) -> bool:
    """Whether an error came of a disk or a connection, and not of what is in the store or the input."""
    if isinstance(err, DataError):
        return any(map(_is_of_reading, _causes(err)))
    return any(isinstance(cause, OSError) or _is_of_a_connection(cause) for cause in _causes(err))


def _causes(err: OpenSlothError) -> Iterator[BaseException]:
    cause: BaseException | None = err
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _is_of_reading(err: BaseException) -> bool:
    """Whether reading an input failed by no fault of the input."""
    # Arrow's for damaged files have no number.
    if isinstance(err, OSError) and err.errno is not None:
        return err.errno not in _OF_THE_NAME
    # aiohttp gives the status itself, other libraries the response.
    status = getattr(err, "status", None) or getattr(getattr(err, "response", None), "status_code", None)
    return _is_of_a_connection(err) or (isinstance(status, int) and (status >= 500 or status in _TRY_LATER))


def _is_of_a_connection(err: BaseException) -> bool:
    # botocore's and aiohttp's are no OSErrors.
    return any(kind.__name__ in _CONNECTION for kind in type(err).__mro__)


def _say(run: RunDirectory, text: str) -> None:
    """To the person watching, and to Prefect's log, which has what this process prints."""
    run.events.message(text)
    print(text, flush=True)


if __name__ == "__main__":
    run_child(main)
