"""What an earlier firing left half done: a run to go on with, or one whose model is still to be judged."""

from dataclasses import dataclass

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.preflight import preflight
from opensloth_core.retrain.fingerprint import SourceFingerprint
from opensloth_core.retrain.workspace import Workspace
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.find import AUTO, find_resumable
from opensloth_core.runs.resume import drift, with_gpus_of_checkpoint
from opensloth_core.store.home import home_dir
from opensloth_core.store.prepared import find_prepared, prepared_key


@dataclass(frozen=True)
class Unfinished:
    """A run that did not end well."""

    run: RunDirectory
    differing: tuple[str, ...]
    """Why it cannot go on; empty where it can."""


def unjudged_run(
    workspace: Workspace, fingerprint: SourceFingerprint, replacing: str | None
) -> RunDirectory | None:
    """The run that trained on just this source already, if its model was never judged."""
    finished = workspace.finished()
    if finished is None or finished.replacing != replacing:
        return None
    if not fingerprint.is_same(SourceFingerprint.parse(finished.fingerprint)):
        return None
    run = RunDirectory(home_dir() / "runs" / finished.run)
    if not run.adapter_dir.is_dir() or not run.launch_path.is_file():
        return None
    return run if find_prepared(run.launch().prepared_key)[0] else None


def unfinished_run(config: OpenSlothConfig) -> Unfinished | None:
    """The newest run of this configuration that did not end well, and whether its data is still what it was.

    Raises:
        DataError, ConfigError, ModelError: see `preflight`.
    """
    run = find_resumable(AUTO, config)
    if run is None:
        return None
    config = with_gpus_of_checkpoint(run, config)
    checked = preflight(config)
    key = prepared_key(config.preparation, checked.start.tokenizer_dir, len(checked.devices))
    launch = checked.start.launch(checked.devices, key.digest)
    return Unfinished(run, tuple(drift(run, config, key.parts, launch)))
