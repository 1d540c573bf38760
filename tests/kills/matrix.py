"""Plays the matrix and prints its table: `python -m tests.kills.matrix [--cells rank1-kill-training,…]`.

A cell takes half a minute to two; all of them take hours. Cells can be chosen by parts of their names:
`--cells flow-kill,worker` plays those of every moment.
"""

import argparse
import tempfile
import time
import traceback
from pathlib import Path

from tests.kills.by_worker import play_by_worker
from tests.kills.cells import Cell, all_cells
from tests.kills.play import Outcome, digest, last_state, play
from tests.kills.stage import Stage, write_inputs
from tests.prefect_server import prefect_server

HEAD = "| cell | hit while | record | Prefect | left after 10 s | --resume auto | adapter | s | verdict |"


def main() -> None:
    """Play what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", default="", help="names, or parts of names, separated by commas")
    parser.add_argument("--pause", type=float, default=60, help="seconds that SIGSTOP stops a process for")
    parser.add_argument("--folder", type=Path, help="keep everything here")
    given = parser.parse_args()
    parts = [part for part in given.cells.split(",") if part]
    cells = [cell for cell in all_cells() if not parts or any(part in cell.name for part in parts)]
    folder = given.folder or Path(tempfile.mkdtemp(prefix="kills-"))
    folder.mkdir(parents=True, exist_ok=True)
    write_inputs(folder)
    print(HEAD + "\n" + "|---" * HEAD.count(" | ") + "|---|", flush=True)
    failures = 0
    with prefect_server(folder / "prefect") as (api_url, _):
        baseline = undisturbed(Stage(folder, api_url, folder / "prefect"))
        for cell in cells:
            outcome = _played(cell, folder, api_url, baseline, given.pause)
            failures += bool(outcome.wrong)
            print(_row(outcome), flush=True)
    print(f"\n{len(cells)} cells, {failures} not as they should be; SIGSTOP for {given.pause:g} s; {folder}")


def undisturbed(stage: Stage) -> str:
    """The adapter of a run that nobody disturbs."""
    process = stage.start()
    assert process.wait(timeout=300) == 0, stage.log.read_text()
    (run_dir,) = stage.run_dirs
    assert last_state(run_dir) == "completed"
    return digest(run_dir)


def _played(cell: Cell, folder: Path, api_url: str, baseline: str, pause_seconds: float) -> Outcome:
    began = time.monotonic()
    try:
        if cell.process in ("worker", "worked"):
            return play_by_worker(cell, Stage(folder, api_url, folder / "prefect"), baseline, pause_seconds)
        if cell.process in ("server", "all"):
            return play(cell, Stage(folder), baseline, pause_seconds)
        if cell.process == "outside":
            with prefect_server(folder / f"prefect-{cell.name}") as (own_url, process):
                stage = Stage(folder, own_url, folder / f"prefect-{cell.name}")
                return play(cell, stage, baseline, pause_seconds, process.pid)
        return play(cell, Stage(folder, api_url, folder / "prefect"), baseline, pause_seconds)
    except Exception as err:
        traceback.print_exc()
        return Outcome(cell, wrong=[f"{type(err).__name__}: {err}"], seconds=time.monotonic() - began)


def _row(outcome: Outcome) -> str:
    left = len(outcome.left) or "none"
    verdict = "; ".join(outcome.wrong) or "ok"
    return (
        f"| {outcome.cell.name} | {outcome.hit} | {outcome.record} | {outcome.prefect} | {left} | "
        f"{outcome.resumed} | {outcome.adapter} | {outcome.seconds:.0f} | {verdict} |"
    )


if __name__ == "__main__":
    main()
