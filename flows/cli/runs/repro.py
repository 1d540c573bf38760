"""`os-train repro`."""

import sys
from collections.abc import Sequence

from flows.cli.cache.answer import answered
from flows.cli.runs.words import brief_loss
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.history import summary
from opensloth_core.runs.lock import is_running
from opensloth_core.runs.named import named_run
from opensloth_core.runs.repeat import differences, repetition

_COMMAND = "os-train repro"


def run_repro(which: str, dry_run: bool) -> int:
    """Say what differs, run it again, and give the exit code."""
    return answered(_COMMAND, lambda: _repro(which, dry_run))


def _repro(which: str, dry_run: bool) -> int:
    earlier = named_run(which)
    if is_running(earlier):
        raise ConfigError(f"{earlier.path.name}: is still running; wait for it: os-train runs wait {which}")
    wanted = repetition(earlier)
    differing = _differences(earlier, wanted.config)
    out = sys.stdout if dry_run else sys.stderr
    print(f"{'would repeat' if dry_run else 'repeating'} {earlier.path.name}", file=out)
    for line in (*differing, *(f"left out: {text}" for text in wanted.left_out)):
        print(f"- {line}", file=out)
    if not differing:
        print("versions, devices, data and model are as they were", file=out)
    if dry_run:
        return 0
    return _run(earlier, wanted.config, differing)


def _differences(earlier: RunDirectory, config: OpenSlothConfig) -> list[str]:
    """What is not as it was; refuses what cannot run."""
    from opensloth_core.preflight import preflight
    from opensloth_core.store.prepared import prepared_key

    checked = preflight(config, lambda text: print(text, file=sys.stderr))
    key = prepared_key(config.preparation, checked.start.tokenizer_dir, len(checked.devices))
    return differences(earlier, checked.start.launch(checked.devices, key.digest), key.parts)


def _run(earlier: RunDirectory, config: OpenSlothConfig, differing: Sequence[str]) -> int:
    from flows.cli.finetune import finetune_job
    from flows.cli.run import run_job
    from flows.cli.summary import summary as result_summary
    from opensloth_core.runs.events import read_events

    def opened() -> RunDirectory:
        run = RunDirectory.create(config)
        run.events.message(f"repeats {earlier.path.name}")
        for line in differing:
            run.events.message(f"not as in the run that is repeated: {line}", "warning")
        return run

    def conclude(run: RunDirectory) -> int:
        print(result_summary(run.path, read_events(run.events_path)))
        print(_compared(earlier, run))
        return 0

    return run_job(finetune_job(config.method), config, conclude, opened)


def _compared(earlier: RunDirectory, run: RunDirectory) -> str:
    """`Then     loss 5.435 in run …: the same, bit for bit`."""
    then, now = summary(earlier), summary(run)
    if then.final_loss is None or now.final_loss is None:
        return f"Then     run {then.name} came to no loss: {then.state}"
    told = f"Then     loss {brief_loss(then.final_loss)} in {then.name}"
    if then.step != now.step:
        return f"{told}, after {then.step:,} steps"
    if then.final_loss == now.final_loss:
        return f"{told}: the same to the last bit"
    return f"{told}: {now.final_loss - then.final_loss:+.2g} now"
