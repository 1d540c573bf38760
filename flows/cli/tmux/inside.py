"""What a session's first window shows: `python -m flows.cli.tmux.inside RUN_DIR SINCE [--quiet|--verbose]`.

The run was checked and created, with its configuration, by the command that made the session.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from flows.cli.finetune import drive, finetune_job
from flows.cli.shown import Shown
from flows.cli.tmux.windows import RankWindows
from opensloth_core.runs.directory import RunDirectory


def main(words: Sequence[str]) -> int:
    """Do the run and give its exit code; what happened before SINCE, in Unix seconds, is not shown."""
    run = RunDirectory(Path(words[0]))
    config = run.config()
    shown = Shown(verbose="--verbose" in words, quiet="--quiet" in words)
    job = replace(finetune_job(config.method), refuse=lambda config: None, shown=shown, since=float(words[1]))
    print(run.path.name, file=sys.stderr)
    return drive(job, config, lambda: run, also=[RankWindows(run)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
