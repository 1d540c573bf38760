"""What is recorded of a run's life beside its steps: its data, and how it ended."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from opensloth_core.errors import OpenSlothError
from opensloth_core.runs.abandoned import FINAL
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.find import last_state
from opensloth_core.runs.lock import is_running
from opensloth_core.store.aging import aging
from opensloth_core.store.prepared import PreparedManifest
from opensloth_core.store.usage import record_use


def record_prepared(run: RunDirectory, manifest: PreparedManifest, cached: bool, seconds: float) -> None:
    """Record which data the run trains on, and what is worth knowing about it."""
    record_use(manifest.key)
    config = run.preparation()
    cached = cached or config.prepared is not None
    run.events.write(
        "prepared",
        key=manifest.key,
        cached=cached,
        seconds=seconds,
        ledger=manifest.ledger.model_dump(mode="json"),
    )
    aged = aging(config, manifest.parts) if config.prepared is not None else ()
    for warning in (*aged, *manifest.ledger.warnings()):
        run.events.message(warning, "warning")


@contextmanager
def recorded(run: RunDirectory) -> Iterator[None]:
    """Record `completed`, or `failed`, `cancelled` or `crashed` and why."""
    try:
        yield
    except BaseException as err:
        _record_failure(run, err)
        raise
    run.events.state("completed")


@contextmanager
def recorded_before_begun(run: RunDirectory) -> Iterator[None]:
    """Record the end of a run that ends before anybody drives it, as while Prefect starts; see `recorded`."""
    try:
        yield
    except BaseException as err:
        if last_state(run) not in FINAL and not is_running(run):
            _record_failure(run, err)
        raise


def _record_failure(run: RunDirectory, err: BaseException) -> None:
    if isinstance(err, OpenSlothError):
        run.events.write("state", state="failed", message=str(err), exit_code=err.exit_code)
    elif isinstance(err, asyncio.CancelledError | KeyboardInterrupt):
        run.events.state("cancelled")
    else:
        run.events.state("crashed", f"{type(err).__name__}: {err}")


@contextmanager
def reported(run: RunDirectory) -> Iterator[None]:
    """Write the report of a training run once it has ended, however it did.

    It never decides how a run ends: one that cannot be written is a warning.
    """
    from opensloth_core.runs.report.markdown import write_report

    try:
        yield
    finally:
        try:
            write_report(run)
        except Exception as err:
            run.events.message(f"the report cannot be written: {type(err).__name__}: {err}", "warning")
