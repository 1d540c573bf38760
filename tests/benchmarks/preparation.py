"""Data preparation, measured beside the other tools in one run.

    uv run python -m tests.benchmarks.preparation                        # OpenSloth, encode_batch, TRL
    uv run python -m tests.benchmarks.environments /tmp/environments     # once: the other two
    uv run python -m tests.benchmarks.preparation --all \\
        --llamafactory /tmp/environments/llamafactory/bin/python \\
        --axolotl /tmp/environments/axolotl/bin/python \\
        --memory 0.1 1 5 --large 1

32,000 different chat rows (see `rows.py`), SmolLM2's tokenizer, packs of 2048 tokens, two cores. Each
tool runs `--repeat` times, the tools taking turns so that a busy minute of the machine hits all of them,
and the best of each number counts. The columns:

    work s     preparation alone: no interpreter start, no imports; each module here says from where to where
    whole s    the command from start to exit (LLaMA-Factory's: until its data is saved)
    cpu s      processor time of the whole command
    of bare    rows/s as a share of those of `encode_batch` on texts rendered before
    work x,    how many times OpenSloth's cold run it takes; for warm runs the share of a cold one
    whole x
    load       load average as the runs began; above 0.5 or so somebody else used the machine too
"""

import argparse
import os
import platform
import subprocess
import tempfile
from functools import partial
from importlib.metadata import version
from pathlib import Path

from opensloth_core.models.embedded import EMBEDDED, embedded_model_dir
from opensloth_core.store.home import home_dir
from tests.benchmarks.contest import BARE, OPENSLOTH, Contender, contest_table
from tests.benchmarks.memory import memory_table
from tests.benchmarks.ours import COLD, measure_bare, measure_ours
from tests.benchmarks.parts import parts_table
from tests.benchmarks.rivals import measure_axolotl, measure_llamafactory
from tests.benchmarks.rows import write_rows
from tests.benchmarks.trl_preparation import measure_trl

_TRL = "TRL"


def main() -> None:
    """Measure what the arguments ask for and print one table for each thing."""
    args = _arguments()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.cores])
    model_dir = args.model or embedded_model_dir(home_dir(), say=print)
    model = str(model_dir) if args.model else EMBEDDED
    with tempfile.TemporaryDirectory(prefix="opensloth-benchmark-", dir=args.scratch) as folder:
        scratch = Path(folder)
        print(f"{platform.processor() or platform.machine()}, {args.cores} cores, {_versions(args)}")
        if not args.no_contest:
            data = args.data or scratch / "rows.jsonl"
            if args.data is None:
                write_rows(data, args.rows)
            num_rows = sum(1 for _ in data.open("rb"))
            print(f"\npreparing {num_rows} rows, {data.stat().st_size / 1e6:.1f} MB", flush=True)
            print(
                contest_table(_contenders(args, data, model, model_dir), num_rows, args.repeat, scratch, COLD)
            )
        if args.memory:
            print("\npeak anonymous memory", flush=True)
            print(memory_table(args.memory, model, model_dir, scratch))
        if args.large:
            print("\nparts", flush=True)
            print(parts_table(args.large, model, model_dir, scratch))


def _contenders(args: argparse.Namespace, data: Path, model: str, model_dir: Path) -> list[Contender]:
    cores = args.cores
    trl = partial(measure_trl, data, model_dir, cores=cores)
    llamafactory = partial(measure_llamafactory, args.llamafactory, data, model_dir, cores=cores)
    axolotl = partial(measure_axolotl, args.axolotl, data, model_dir, cores=cores)
    return [
        Contender(BARE, partial(measure_bare, data, model_dir)),
        Contender(OPENSLOTH, partial(measure_ours, data, model, model_dir)),
        Contender(_TRL, None if args.no_trl else trl),
        Contender("LLaMA-Factory", llamafactory if args.llamafactory else None),
        Contender("Axolotl", axolotl if args.axolotl else None),
    ]


def _versions(args: argparse.Namespace) -> str:
    known = [f"{name} {version(name)}" for name in ("opensloth", "tokenizers", "transformers", "trl")]
    for tool in ("llamafactory", "axolotl"):
        if python := getattr(args, tool):
            ask = f"import importlib.metadata as m; print(m.version({tool!r}))"
            told = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)
            known.append(f"{tool} {told.stdout.strip()}")
    return ", ".join(known)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.preparation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--rows", type=int, default=32_000, help="rows of the first table")
    add("--data", type=Path, help="JSONL with messages, instead of rows made from ../shared/data")
    add("--model", type=Path, help="a model's folder, instead of the embedded model")
    add("--repeat", type=int, default=2, help="turns of each tool")
    add("--cores", type=int, default=2, help="processor cores and worker processes to use")
    add("--scratch", type=Path, help="where the temporary folder is made")
    add("--llamafactory", type=Path, metavar="PYTHON", help="interpreter of LLaMA-Factory's environment")
    add("--axolotl", type=Path, metavar="PYTHON", help="interpreter of Axolotl's environment")
    add("--no-trl", action="store_true", help="leave TRL out")
    add("--no-contest", action="store_true", help="leave the first table out")
    add("--memory", type=float, nargs="+", metavar="GB", help="print the memory table, for these sizes")
    add(
        "--large",
        type=float,
        metavar="GB",
        help="print the table of parts, with an unchanged file this large",
    )
    add("--all", action="store_true", help="print all three tables, small sizes where none is given")
    args = parser.parse_args()
    if args.all:
        args.memory, args.large = args.memory or [0.05, 0.1], args.large or 0.1
    return args


if __name__ == "__main__":
    main()
