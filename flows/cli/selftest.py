"""`os-train selftest`: whether this machine's devices, together, train what one of them trains."""

import json
import signal
import sys
from typing import TYPE_CHECKING

from flows.cli.run import INTERRUPTED, TERMINATED, Terminated, signals_as_interrupts
from opensloth_core.errors import OpenSlothError

if TYPE_CHECKING:
    from opensloth_core.selftest.data import Method
    from opensloth_core.selftest.parity import Parity

HEAD = ("run", "ranks", "accum.", "first loss", "last loss", "tokens/s", "Δ loss", "Δ norm", "Δ weights")


def run_selftest(gpus: int | None, methods: "tuple[Method, ...]", as_json: bool) -> int:
    """Compare, print, and give the exit code: 0 where all runs agree, 1 where they do not or one failed."""
    try:
        with signals_as_interrupts(signal.SIGTERM):
            found = _check(gpus, methods)
    except OpenSlothError as err:
        return _said(_one_line(err), err.exit_code)
    except Terminated:
        return _said("terminated", TERMINATED)
    except KeyboardInterrupt:
        return _said("interrupted", INTERRUPTED)
    passed = all(parity.passed for parity in found)
    if as_json:
        print(json.dumps({"passed": passed, "checks": [parity.as_json() for parity in found]}, indent=2))
    else:
        print("\n\n".join("\n".join(table(parity)) for parity in found))
    return 0 if passed else 1


def _check(gpus: int | None, methods: "tuple[Method, ...]") -> "list[Parity]":
    # Imported here: it costs as much as the rest of the command line.
    from opensloth_core.selftest.parity import check_parity, num_ranks

    ranks = num_ranks(gpus)
    if ranks == 1:
        print("one device: only accumulation is compared, no ranks with one another", file=sys.stderr)
    return [
        check_parity(method, ranks, lambda text: print(text, file=sys.stderr, flush=True))
        for method in methods
    ]


def _one_line(err: OpenSlothError) -> str:
    """The error; of a rank's last lines, whose log goes with the temporary home, only the very last."""
    first, *others = str(err).splitlines()
    return f"{first.removesuffix(' its last lines:')} {others[-1].strip()}" if others else first


def _said(message: str, exit_code: int) -> int:
    print(f"os-train selftest: {message}", file=sys.stderr)
    return exit_code


def table(parity: "Parity") -> list[str]:
    """The runs of one method under one another, what they may differ by, and the verdict."""
    device = "GPUs" if parity.on_gpu else "CPU processes"
    steps, units = len(parity.runs[0].loss_S), parity.runs[0].variant.batch_size
    unit = {"sft": "packs", "dpo": "pairs"}[parity.method]
    rows: list[tuple[str, ...]] = [HEAD]
    for run, apart in zip(parity.runs, [None, *parity.found], strict=True):
        differences = (apart.loss, apart.grad_norm, apart.weights) if apart else None
        variant = run.variant
        rows.append(
            (
                variant.name,
                str(variant.ranks),
                str(variant.accumulation),
                f"{run.loss_S[0]:.6f}",
                f"{run.loss_S[-1]:.6f}",
                f"{run.tokens_per_second:,.0f}",
                *([f"{one:.1e}" for one in differences] if differences else ["", "", ""]),
            )
        )
    limits = parity.limits
    allowed = [f"{one:.0e}" for one in (limits.loss, limits.grad_norm, limits.weights)]
    rows.append(("allowed", "", "", "", "", "", *allowed))
    verdict = f"failed: {parity.problem()}" if parity.problem() else "passed: every run trains the same"
    title = (
        f"{parity.method}, float32 LoRA of a tiny model, SGD, {steps} steps of {units} {unit}, on {device}"
    )
    return [title, *_aligned(rows), verdict]


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Columns: the first to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
