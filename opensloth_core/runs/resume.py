"""Takes up a run that did not end well: which one, whether it may go on, and from where.

    run = open_run(config, resume="auto")              the unfinished run, or a new one
    with run_lock(run), recorded(run):
        …
        run.write_launch(replace(launch, checkpoint=start_point(run)))

A run goes on in its own directory: events are appended, and a `resumed` event says from which step.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from opensloth_core.config.batch import BatchPlan
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.readme import more_in_readme
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.runs.find import AUTO, find_resumable
from opensloth_core.training.checkpoint.made_with import differences, made_with, other_versions
from opensloth_core.training.checkpoint.manifest import Checkpoint, newest_whole, sweep


class DriftError(ConfigError):
    """A run would go on with something else than it was made with."""


def open_run(config: OpenSlothConfig, resume: str | Path | None, allow_drift: bool = False) -> RunDirectory:
    """The run to work on: the one to resume, with this configuration from now on, or a new one.

    Args:
        resume: a run's folder, its name or the beginning of it, or "auto" for the newest unfinished run of
            this configuration, or a new one where there is none; None for a new run.
        allow_drift: go on although something differs.

    Raises:
        ConfigError: see `find_resumable` and `take_up`; also what `preflight` raises.
    """
    run = find_resumable(resume, config) if resume is not None else None
    if run is None:
        unfinished = find_resumable(AUTO, config) if resume is None else None
        run = RunDirectory.create(config)
        if unfinished is not None:
            run.events.message(f"an earlier run of this did not end well; {resume_line(unfinished)}")
        if resume is not None:
            run.events.message("no unfinished run of this configuration: this is a new one")
        return run
    from opensloth_core.preflight import preflight
    from opensloth_core.store.prepared import prepared_key

    config = with_gpus_of_checkpoint(run, config)
    checked = preflight(config)
    key = prepared_key(config.preparation, checked.start.tokenizer_dir, len(checked.devices))
    take_up(run, config, key.parts, checked.start.launch(checked.devices, key.digest), allow_drift)
    return run


def with_gpus_of_checkpoint(run: RunDirectory, config: OpenSlothConfig) -> OpenSlothConfig:
    """A configuration in which "auto" is as many GPUs as the run's newest checkpoint is of, if it has one.

    How many are free when a run goes on has nothing to do with how many were when it began.
    """
    checkpoint = newest_whole(run.checkpoints_dir, in_full=False) if config.gpus == "auto" else None
    if checkpoint is None:
        return config
    return config.model_copy(update={"gpus": checkpoint.manifest.made_with.world_size})


def take_up(
    run: RunDirectory,
    config: OpenSlothConfig,
    prepared_parts: Mapping[str, str],
    launch: Launch,
    allow_drift: bool = False,
) -> None:
    """Have a run go on with this configuration; nothing of it is changed when that is refused.

    Args:
        prepared_parts: what the key of the data is made of.
        launch: what its processes are going to be started with.
        allow_drift: go on although something differs.

    Raises:
        DriftError: something differs from what its checkpoint was made with; the message has all of it.
    """
    checkpoint = newest_whole(run.checkpoints_dir, in_full=False)
    differing = [] if checkpoint is None else _drift(checkpoint, config, prepared_parts, launch)
    if differing and not allow_drift:
        raise DriftError(
            f"run {run.path.name} cannot go on as it was: {'; '.join(differing)}. Give the run what it had, "
            "pass --allow-drift (allow_drift=True) to go on with the new, or start a new run"
            f"{more_in_readme('A run that was killed')}"
        )
    run.write_config(config)
    for words in differing:
        run.events.message(f"goes on with a difference: {words}", "warning")
    for words in _consequences(checkpoint, config, launch) if checkpoint else ():
        run.events.message(words, "warning")


def drift(
    run: RunDirectory, config: OpenSlothConfig, prepared_parts: Mapping[str, str], launch: Launch
) -> list[str]:
    """What differs from what the run's newest checkpoint was made with, in words; see `take_up`.

    Nothing does where there is no checkpoint, since the run begins anew then. Settings that shape no step
    (save_steps, eval_steps, output, report_to, …) may differ.
    """
    checkpoint = newest_whole(run.checkpoints_dir, in_full=False)
    return [] if checkpoint is None else _drift(checkpoint, config, prepared_parts, launch)


def _drift(
    checkpoint: Checkpoint, config: OpenSlothConfig, prepared_parts: Mapping[str, str], launch: Launch
) -> list[str]:
    batch = _batch(checkpoint, config, launch.world_size)
    now = made_with(config, prepared_parts, launch.weight_folders, launch.devices, batch)
    return differences(now, checkpoint.manifest.made_with)


def _consequences(checkpoint: Checkpoint, config: OpenSlothConfig, launch: Launch) -> Iterator[str]:
    """What a person should know of an attempt that goes on with a checkpoint, though it is allowed."""
    before = checkpoint.manifest.made_with
    for words in other_versions(before):
        yield f"another version: {words}; the result may differ in its last digits"
    if launch.world_size > before.world_size:
        ranks = ", ".join(map(str, range(before.world_size, launch.world_size)))
        yield f"new since the checkpoint, with fresh random numbers: rank {ranks}"
    now = _batch(checkpoint, config, launch.world_size).global_batch_size
    if now != before.global_batch_size:
        yield (
            f"{now} units a step instead of {before.global_batch_size}: the steps that are left are those of "
            "another plan, in which some units come twice or not at all"
        )


def _batch(checkpoint: Checkpoint, config: OpenSlothConfig, world_size: int) -> BatchPlan:
    """The batch numbers that a resumed run has; measured ones are not measured again."""
    made = checkpoint.manifest.made_with
    if config.measures_batch(made.device != "cpu") and world_size == made.world_size:
        return BatchPlan(made.batch_size, made.gradient_accumulation_steps, made.world_size)
    return config.batch_plan(world_size)


def start_point(run: RunDirectory) -> str | None:
    """Name of the checkpoint that an attempt goes on from; None for the beginning.

    Says so in the run's events, unless this is its first attempt, and removes what the attempt before left
    half done. Call it while holding the run's lock, before `write_launch`.
    """
    if not run.launch_path.exists():
        return None
    run.events.mend()
    checkpoint = newest_whole(run.checkpoints_dir, say=lambda text: run.events.message(text, "warning"))
    sweep(run.checkpoints_dir, checkpoint.step if checkpoint else 0)
    name = checkpoint.path.name if checkpoint else None
    run.events.write("resumed", step=checkpoint.step if checkpoint else 0, checkpoint=name)
    where = f"after step {checkpoint.step}" if checkpoint else "from the start: there is no whole checkpoint"
    run.events.message(f"resuming {where}")
    return name


def resume_line(run: RunDirectory) -> str:
    """How to go on with a run that ended before its end, in one line."""
    newest = newest_whole(run.checkpoints_dir, in_full=False)
    after = f"after step {newest.step}" if newest else "from the start"
    return f"to go on with this run {after}: --resume {run.path.name}"
