"""The directory of one run; the only code that spells paths inside it.

<home>/runs/<method>-<model>-<data>-<time>-<id>/
    config.json     the resolved configuration, written before anything starts
    launch.json     what the processes of the run are started with
    lock            held by whoever drives the run
    creator         held by the command that created the run, until that ends
    session         held by the tmux session that the run was given to, until that has run it
    prepared.json   the key of the data once it is ready, which the ranks wait for
    events.jsonl    everything that happened
    logs/           rank-N.log: all a rank printed
    checkpoints/    step-N/: what a killed run resumes from
    adapter/        the result, renamed into place when it is whole
"""

import json
import os
import re
import secrets
import time
import weakref
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import StoreError
from opensloth_core.expanded import expanded
from opensloth_core.models.adapter import is_adapter
from opensloth_core.runs.absolute_paths import with_absolute_paths
from opensloth_core.runs.events import EventLog, read_events
from opensloth_core.store.file_lock import lock_file
from opensloth_core.store.home import home_dir

POLL_SECONDS = 0.05

REPORT_FILE = "report.md"
PICTURE_FILE = "loss.svg"


@dataclass(frozen=True)
class Launch:
    """What the processes of a run are started with, beside its configuration."""

    model_dir: str
    """Folder of the model whose weights are loaded."""

    devices: tuple[str, ...]
    """One torch device a rank, such as `cuda:0` or `cpu`."""

    prepared_key: str
    """Key of the prepared data in the store."""

    adapter_dir: str | None = None
    """Folder of the adapter that training goes on with; None for a new one, or none."""

    tokenizer_dir: str | None = None
    """Folder of tokenizer and configuration, where that is not `model_dir`."""

    base_model: str | None = None
    """What a saved adapter belongs to, as a user would name it; `model_dir` where not given."""

    checkpoint: str | None = None
    """Name of the checkpoint that the ranks go on from; None to begin with the first step."""

    @property
    def weight_folders(self) -> tuple[Path, ...]:
        """Folders of the weights that training begins with."""
        return tuple(Path(folder) for folder in (self.model_dir, self.adapter_dir) if folder)

    @property
    def tokenizer_folder(self) -> Path:
        """Folder of the tokenizer that the data is prepared with, and the model's configuration."""
        return Path(self.tokenizer_dir or self.model_dir)

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

        Until somebody drives the run, it counts as one that is just starting for as long as what this gives
        is kept: the kernel says so of no process that was killed.

        Raises:
            StoreError: the home folder cannot be written.
        """
        names = [*names_of_run(config), time.strftime("%Y%m%d-%H%M%S")]
        runs_dir = home_dir() / "runs"
        try:
            runs_dir.mkdir(parents=True, exist_ok=True)
            path = _new_folder(runs_dir, names)
            (path / "logs").mkdir()
            run = cls(path)
            held = lock_file(run.creator_path, wait=True)
        except OSError as err:
            raise StoreError(
                f"{runs_dir / '-'.join(names)}: cannot create the run directory: {err.strerror}; "
                "set OPENSLOTH_HOME to a folder you can write"
            ) from err
        assert held is not None, "waited for"
        weakref.finalize(run, os.close, held)
        run.write_config(config)
        run.events.state("created")
        return run

    def write_config(self, config: DatasetPrepConfig) -> None:
        """Record what this run, or the attempt that goes on with it, is to do, from whatever directory."""
        config = with_absolute_paths(config)
        if isinstance(config, OpenSlothConfig):
            config = config.resolved()
        _write(self.config_path, config.model_dump_json(indent=2, exclude=_without_effect(config)) + "\n")

    @property
    def config_path(self) -> Path:
        return self.path / "config.json"

    @property
    def events_path(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def lock_path(self) -> Path:
        """Locked by whoever drives the run, for as long as it does."""
        return self.path / "lock"

    @property
    def creator_path(self) -> Path:
        """Locked by the process that created the run, before others see it there."""
        return self.path / "creator"

    @property
    def session_path(self) -> Path:
        """Locked by the tmux session that is going to drive the run, or does."""
        return self.path / "session"

    @property
    def launch_path(self) -> Path:
        return self.path / "launch.json"

    @property
    def report_path(self) -> Path:
        """What a person reads of the run when it has ended."""
        return self.path / REPORT_FILE

    @property
    def picture_path(self) -> Path:
        """The loss curve, which the report shows."""
        return self.path / PICTURE_FILE

    @property
    def adapter_dir(self) -> Path:
        return self.path / "adapter"

    def log_path(self, rank: int) -> Path:
        return self.path / "logs" / f"rank-{rank}.log"

    @property
    def prepare_log_path(self) -> Path:
        return self.path / "logs" / "prepare.log"

    @property
    def rendezvous_path(self) -> Path:
        """The file through which the ranks find each other."""
        return self.path / "rendezvous"

    @property
    def checkpoints_dir(self) -> Path:
        """Where checkpoints are, each a folder renamed into place when it is whole."""
        return self.path / "checkpoints"

    @property
    def trainer_dir(self) -> Path:
        """Where libraries may write what nobody reads."""
        return self.path / "trainer"

    @property
    def _prepared_mark(self) -> Path:
        return self.path / "prepared.json"

    def mark_prepared(self, key: str) -> None:
        """Tell the ranks, which start beside preparation, that the data of `key` is ready."""
        _write(self._prepared_mark, json.dumps({"key": key}) + "\n")

    def is_prepared(self) -> bool:
        """Whether the ranks have been told that the data is ready."""
        return self._prepared_mark.exists()

    def wait_until_prepared(self) -> str:
        """The key of the run's data, once it is ready."""
        while not self._prepared_mark.exists():
            time.sleep(POLL_SECONDS)
        return str(json.loads(self._prepared_mark.read_text())["key"])

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

    def write_launch(self, launch: Launch, with_data: bool = False) -> None:
        """Record what the processes of the run are started with; whatever an earlier attempt met at goes.

        Args:
            with_data: leave the mark that the data is ready, if it is.
        """
        self.rendezvous_path.unlink(missing_ok=True)
        if not with_data:
            self._prepared_mark.unlink(missing_ok=True)
        _write(self.launch_path, json.dumps(asdict(launch), indent=2) + "\n")

    def launch(self) -> Launch:
        """What the ranks are started with."""
        record = json.loads(self.launch_path.read_text())
        return Launch(**{**record, "devices": tuple(record["devices"])})


def _write(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all.

    Raises:
        StoreError: it cannot be written, or the disk is full.
    """
    partial = path.with_suffix(".partial")
    try:
        partial.write_text(text)
        partial.rename(path)
    except OSError as err:
        raise StoreError(
            f"{path}: cannot be written: {err.strerror}; "
            "make room, or set OPENSLOTH_HOME to a folder you can write"
        ) from err


def _without_effect(config: DatasetPrepConfig) -> dict[str, Any]:
    """Settings that this run has no use for, as pydantic's `exclude` takes them."""
    if not isinstance(config, OpenSlothConfig):
        return {}
    unused: dict[str, Any] = {method: True for method in ("dpo", "grpo") if method != config.method}
    if config.finetuning_type == "full" or _goes_on_with_an_adapter(config):
        # What was given nevertheless stays, for preflight to refuse.
        unused["lora"] = "lora" not in config.model_fields_set or set(type(config.lora).model_fields) - set(
            config.lora.model_fields_set
        )
    return unused


def _goes_on_with_an_adapter(config: OpenSlothConfig) -> bool:
    if config.pretrained_lora is not None or config.merge_lora:
        return not config.merge_lora
    folder = expanded(config.model)
    try:
        return is_adapter(folder) or is_adapter(RunDirectory(folder).adapter_dir)
    except OSError:  # preflight says what is wrong with it
        return False


def _new_folder(runs_dir: Path, names: list[str]) -> Path:
    """A folder of nobody else: runs that start in the same second may draw the same id."""
    while True:
        path = runs_dir / "-".join([*names, secrets.token_hex(2)])
        with suppress(FileExistsError):
            path.mkdir()
            return path


def names_of_run(config: DatasetPrepConfig) -> list[str]:
    """How the name of a run's directory begins: kind, model and data; time and an id follow."""
    kind = config.method if isinstance(config, OpenSlothConfig) else f"data-{config.method}"
    return [kind, _slug(config.model_title), _slug(config.data_title)]


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "_", name).strip("_.")[:40] or "data"
