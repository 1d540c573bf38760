"""`os-train runs rm`."""

import json
import sys
from collections.abc import Sequence

from flows.cli.cache.answer import answered, table
from opensloth_core.errors import ConfigError, OpenSlothError
from opensloth_core.runs.history import summary
from opensloth_core.runs.named import named_run
from opensloth_core.runs.removing import Removable, removable, remove_run
from opensloth_core.runs.report.numbers import counted, size

_COMMAND = "os-train runs rm"


def run_rm(names: Sequence[str], dry_run: bool, yes: bool, as_json: bool) -> int:
    """Remove runs and give the exit code: 1 where one that was named stays."""
    return answered(_COMMAND, lambda: _rm(names, dry_run, yes or as_json, as_json))


def _rm(names: Sequence[str], dry_run: bool, yes: bool, as_json: bool) -> int:
    runs = list({run.path: run for run in map(named_run, names)}.values())
    entries = removable(runs)
    going = [one for one in entries if one.spared is None]
    if going and not dry_run and not yes and not sys.stdin.isatty():
        raise ConfigError("nobody can be asked, since this is no terminal; give --yes, or --dry-run to look")
    if not as_json:
        for one in entries:
            if one.spared is not None:
                print(f"kept {one.run.path.name}: {one.spared}")
        if going and (dry_run or not yes):
            print(*table([("run", "state", "size"), *map(_row, going)], (2,), (0,)), sep="\n")
    if going and not dry_run and not yes and not _agreed(going):
        print("nothing was removed")
        return 1
    failed = {} if dry_run else _removed(going)
    gone = [one for one in going if one.run.path.name not in failed]
    if as_json:
        kept = {one.run.path.name: one.spared for one in entries if one.spared} | failed
        record = {"dry_run": dry_run, "removed": [one.run.path.name for one in gone], "kept": kept}
        print(json.dumps({**record, "freed_bytes": _total(gone)}, indent=2))
    else:
        for reason in failed.values():
            print(f"{_COMMAND}: {reason}", file=sys.stderr)
        if not gone:
            return 1
        what = counted(len(gone), "run")
        print(
            f"{what} would go, {size(_total(gone))}"
            if dry_run
            else f"{what} removed, {size(_total(gone))} freed"
        )
    return 0 if len(gone) == len(entries) else 1


def _removed(going: Sequence[Removable]) -> dict[str, str]:
    """Remove runs, those that start from others first; why some could not be, by name."""
    failed: dict[str, str] = {}
    folders = [one.run.path.resolve() for one in going]
    for one in going:
        try:
            remove_run(one.run, folders)
        except OpenSlothError as err:
            failed[one.run.path.name] = str(err)
    return failed


def _agreed(going: Sequence[Removable]) -> bool:
    question = f"Remove {counted(len(going), 'run')} with checkpoints and results? [y/N] "
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _row(one: Removable) -> tuple[str, ...]:
    return one.run.path.name, summary(one.run).state, size(one.size_bytes)


def _total(entries: Sequence[Removable]) -> int:
    return sum(one.size_bytes for one in entries)
