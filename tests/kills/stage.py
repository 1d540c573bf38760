"""What a cell plays on: a home, a model, data, servers and workers of its own, and the command."""

import json
import os
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from opensloth_core.models.tiny import write_tiny_model
from opensloth_core.runs.events import EventReader
from tests.kills.processes import MARK

ROOT = Path(__file__).parents[2]
COLOURS = ["red", "green", "blue", "yellow", "white", "black", "brown", "grey"]
STEPS = 40
SAVE_STEPS = 10


def write_inputs(folder: Path) -> None:
    """A tiny model and 40 rows for it."""
    write_tiny_model(folder / "tiny-llama")
    rows = []
    for i in range(40):
        colours = " ".join(COLOURS[(i + k) % 8] for k in range(1 + i * 7 % 11))
        rows.append({"question": f"Which colours has flag {i}?", "answer": f"It has {colours}."})
    (folder / "colours.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@dataclass
class Stage:
    """One cell's surroundings."""

    folder: Path
    """With the inputs; shared by cells."""

    api_url: str | None = None
    """The server to use; the command brings its own when there is none."""

    prefect_home: Path | None = None
    """Where the database of that server is."""

    extra: tuple[str, ...] = ()
    """More words of the command."""

    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        self.home = self.folder / "homes" / self.mark[:8]
        self.home.mkdir(parents=True)
        self.log = self.home / "command.log"
        if self.prefect_home is None:
            self.prefect_home = self.home / "prefect"

    @property
    def config(self) -> dict[str, object]:
        """The settings of the run, as a deployment takes them."""
        return {
            "data": [str(self.folder / "colours.jsonl")],
            "model": str(self.folder / "tiny-llama"),
            "gpus": 2,
            "max_seq_length": 192,
            "training": {"max_steps": STEPS, "save_steps": SAVE_STEPS, "eval_generations": 1},
        }

    @property
    def words(self) -> list[str]:
        """The same as words of a command."""
        words = ["sft", str(self.folder / "colours.jsonl"), "--model", str(self.folder / "tiny-llama")]
        words += ["--gpus", "2", "--max-seq-length", "192", "--max-steps", str(STEPS)]
        return [*words, "--save-steps", str(SAVE_STEPS), "--eval-generations", "1", *self.extra]

    @property
    def command(self) -> list[str]:
        """`os-train`."""
        return [sys.executable, "-m", "flows.cli"]

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        own = {"OPENSLOTH_HOME": str(self.home), "PREFECT_HOME": str(self.prefect_home), MARK: self.mark}
        if self.api_url:
            own["PREFECT_API_URL"] = self.api_url
        return {**kept, **own}

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start `os-train` with the run's words and some more, in a session of its own."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*self.command, *self.words, *words],
                env=self.environment,
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def run_dirs(self) -> list[Path]:
        return sorted(self.home.glob("runs/*"))

    def follow(self) -> "Followed":
        """The first run's events as they come."""
        return Followed(self)


class Followed:
    """The events of a run, as far as they were read."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._reader: EventReader | None = None
        self.state, self.steps, self.flow_run_id = "", 0, ""

    def look(self) -> None:
        """Read what is new."""
        if self._reader is None:
            if not self._stage.run_dirs:
                return
            self._reader = EventReader(self._stage.run_dirs[0] / "events.jsonl")
        for event in self._reader.new_events():
            if event["kind"] == "state":
                self.state = event["state"]
            elif event["kind"] == "step" and event["rank"] == 0:
                self.steps = event["step"]
            elif event["kind"] == "flow":
                self.flow_run_id = event["flow_run_id"]

    def wait_for(self, moment: str, process: subprocess.Popen[bytes] | None, seconds: float = 240) -> None:
        """Wait until a run is where a cell wants it."""
        deadline = time.monotonic() + seconds
        while not (self.state == moment and (moment != "training" or self.steps >= SAVE_STEPS + 2)):
            if time.monotonic() > deadline or (process is not None and process.poll() is not None):
                raise AssertionError(f"the run never was {moment}, but {self.state or 'not there'}")
            time.sleep(0.005)
            self.look()
