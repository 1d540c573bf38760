"""`os-train repro`."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace

from flows.cli.cache.answer import answered
from flows.cli.runs.words import brief_loss
from flows.cli.shown import Shown
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.history import summary
from opensloth_core.runs.lock import is_running
from opensloth_core.runs.named import named_run
from opensloth_core.runs.repeat import differences, repetition

_COMMAND = "os-train repro"


def run_repro(which: str, dry_run: bool, shown: Shown) -> int:
    """Say what differs, run it again, and give the exit code."""
    return answered(_COMMAND, lambda: _repro(which, dry_run, shown), shown.as_json)


def _repro(which: str, dry_run: bool, shown: Shown) -> int:
    earlier = named_run(which)
    if is_running(earlier):
        raise ConfigError(f"{earlier.path.name}: is still running; wait for it: os-train runs wait {which}")
    wanted = repetition(earlier)
    differing = _differences(earlier, wanted.config)
    if dry_run and shown.as_json:
        told = {"run": earlier.path.name, "differs": differing, "left_out": wanted.left_out}
        print(json.dumps(told, indent=2))
        return 0
    lines = [
        f"{'would repeat' if dry_run else 'repeating'} {earlier.path.name}",
        *(f"- {text}" for text in differing),
        *(f"- left out: {text}" for text in wanted.left_out),
        *([] if differing else ["versions, devices, data and model are as they were"]),
    ]
    if not shown.quiet:
        print(*lines, sep="\n", file=sys.stdout if dry_run else sys.stderr)
    return 0 if dry_run else _run(earlier, wanted.config, differing, shown)


def _differences(earlier: RunDirectory, config: OpenSlothConfig) -> list[str]:
    """What is not as it was; refuses what cannot run."""
    from opensloth_core.preflight import preflight
    from opensloth_core.store.prepared import prepared_key

    checked = preflight(config, lambda text: print(text, file=sys.stderr))
    key = prepared_key(config.preparation, checked.start.tokenizer_dir, len(checked.devices))
    return differences(earlier, checked.start.launch(checked.devices, key.digest), key.parts)


def _run(earlier: RunDirectory, config: OpenSlothConfig, differing: Sequence[str], shown: Shown) -> int:
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
        job.concluded(f"{result_summary(run.path, read_events(run.events_path))}\n{_compared(earlier, run)}")
        return 0

    job = replace(finetune_job(config.method), shown=shown)
    return run_job(job, config, conclude, opened)


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
