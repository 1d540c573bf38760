"""The matrix: who gets which signal when, and what has to become of the run."""

import signal
from dataclasses import dataclass
from itertools import product

PROCESSES = ("prepare", "rank0", "rank1", "flow", "all", "worker", "worked", "server", "outside")
"""Who gets the signal.

prepare, rank0, rank1   children of the flow's process
flow                    the command, `os-train`
all                     every process of the command at once, its own server and grandchildren included
worker                  Prefect's process worker, which started the flow's process
worked                  the flow's process, where a worker started it
server                  the command's own server
outside                 a server that somebody else started
"""

SIGNALS = {"int": signal.SIGINT, "term": signal.SIGTERM, "kill": signal.SIGKILL, "stop": signal.SIGSTOP}
MOMENTS = ("preparing", "warming", "training", "saving")

ENDS = {
    "prepare": {"int": "failed", "term": "failed", "kill": "failed", "stop": "completed"},
    "rank0": {"int": "failed", "term": "failed", "kill": "failed", "stop": "completed"},
    "rank1": {"int": "failed", "term": "failed", "kill": "failed", "stop": "completed"},
    "flow": {"int": "cancelled", "term": "cancelled", "kill": "crashed", "stop": "completed"},
    "all": {"int": "cancelled", "term": "cancelled", "kill": "crashed", "stop": "completed"},
    "worker": {"int": "crashed", "term": "crashed", "kill": "completed", "stop": "completed"},
    "worked": {"int": "cancelled", "term": "cancelled", "kill": "crashed", "stop": "completed"},
    "server": {"int": "completed", "term": "completed", "kill": "completed", "stop": "completed"},
    "outside": {"int": "completed", "term": "completed", "kill": "completed", "stop": "completed"},
}
"""How the run has to end, by process and signal. A worker that is told to end kills its flows within
milliseconds, so that they are marked by whoever starts next; one that is killed leaves them to go on."""


@dataclass(frozen=True)
class Cell:
    """One entry of the matrix."""

    process: str
    signal: str
    moment: str

    @property
    def name(self) -> str:
        return f"{self.process}-{self.signal}-{self.moment}"

    @property
    def number(self) -> signal.Signals:
        return SIGNALS[self.signal]

    @property
    def end(self) -> str:
        return ENDS[self.process][self.signal]

    @classmethod
    def named(cls, name: str) -> "Cell":
        process, sent, moment = name.split("-")
        if process not in PROCESSES or sent not in SIGNALS or moment not in MOMENTS:
            raise ValueError(f"{name}: no such cell; they are named like rank1-kill-training")
        return cls(process, sent, moment)


def all_cells() -> list[Cell]:
    """The whole matrix; data is prepared by a process of its own only while it is being prepared."""
    cells = (Cell(*names) for names in product(PROCESSES, SIGNALS, MOMENTS))
    return [cell for cell in cells if cell.process != "prepare" or cell.moment == "preparing"]
