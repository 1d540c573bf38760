"""The directory of one run; the only code that spells paths inside it.

<home>/runs/<method>-<model>-<data>-<time>-<id>/
    config.json     the resolved configuration, written before anything starts
    launch.json     what the processes of the run are started with
    events.jsonl    everything that happened
    logs/           rank-N.log: all a rank printed
    adapter/        the result, renamed into place when it is whole
"""

import json
import re
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import StoreError
from opensloth_core.runs.events import EventLog, read_events
from opensloth_core.store.home import home_dir


@dataclass(frozen=True)
class Launch:
    """What the processes of a run are started with, beside its configuration."""

    model_dir: str
    """Folder (or hub id) of the model."""

    devices: tuple[str, ...]
    """One torch device a rank, such as `cuda:0` or `cpu`."""

    prepared_key: str
    """Key of the prepared data in the store."""

    @property
    def world_size(self) -> int:
        return len(self.devices)


class RunDirectory:
    """Paths and records of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events = EventLog(self.events_path)

    @classmethod
    def create(cls, config: DatasetPrepConfig) -> Self:
        """A new run directory with the configuration in it: of a training, or of a preparation alone.

        Raises:
            StoreError: the home folder cannot be written.
        """
        kind = config.method if isinstance(config, OpenSlothConfig) else f"data-{config.method}"
        name = "-".join(
            [
                kind,
                _slug(Path(config.model).name),
                _slug(config.data_title),
                time.strftime("%Y%m%d-%H%M%S"),
                secrets.token_hex(2),
            ]
        )
        path = home_dir() / "runs" / name
        try:
            (path / "logs").mkdir(parents=True)
        except OSError as err:
            raise StoreError(
                f"{path}: cannot create the run directory: {err.strerror}; "
                "set OPENSLOTH_HOME to a folder you can write"
            ) from err
        run = cls(path)
        # What has no effect is not recorded: settings of an adapter are refused where there is none.
        has_adapter = not isinstance(config, OpenSlothConfig) or config.finetuning_type != "full"
        unused = None if has_adapter else {"lora"}
        run.config_path.write_text(config.model_dump_json(indent=2, exclude=unused) + "\n")
        run.events.state("created")
        return run

    @property
    def config_path(self) -> Path:
        return self.path / "config.json"

    @property
    def events_path(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def adapter_dir(self) -> Path:
        return self.path / "adapter"

    @property
    def trainer_dir(self) -> Path:
        """Where the trainer may write."""
        return self.path / "checkpoints"

    def log_path(self, rank: int) -> Path:
        return self.path / "logs" / f"rank-{rank}.log"

    @property
    def prepare_log_path(self) -> Path:
        return self.path / "logs" / "prepare.log"

    @property
    def rendezvous_path(self) -> Path:
        """The file through which the ranks find each other."""
        return self.path / "rendezvous"

    def clear_rendezvous(self) -> None:
        """Forget where ranks of an earlier attempt met."""
        self.rendezvous_path.unlink(missing_ok=True)

    def final_loss(self) -> float:
        """Mean loss per trained token of the last step of a finished run."""
        results = [e for e in read_events(self.events_path) if e["kind"] == "result"]
        return float(results[-1]["final_loss"])

    def config(self) -> OpenSlothConfig:
        """The run's resolved configuration."""
        return OpenSlothConfig.of(json.loads(self.config_path.read_text()))

    def preparation(self) -> DatasetPrepConfig:
        """The part of the run's configuration that decides the prepared data."""
        values = json.loads(self.config_path.read_text())
        return DatasetPrepConfig.of(
            {name: value for name, value in values.items() if name in DatasetPrepConfig.model_fields}
        )

    def write_launch(self, launch: Launch) -> None:
        """Record what the processes of the run are started with."""
        (self.path / "launch.json").write_text(json.dumps(asdict(launch), indent=2) + "\n")

    def launch(self) -> Launch:
        """What the ranks are started with."""
        record = json.loads((self.path / "launch.json").read_text())
        return Launch(
            model_dir=record["model_dir"],
            devices=tuple(record["devices"]),
            prepared_key=record["prepared_key"],
        )


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "_", name).strip("_.")[:40] or "data"
