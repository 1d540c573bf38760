"""What the commands about runs are given."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from flows.cli.shown import OutputSettings
from opensloth_core.config.base import Settings

State = Literal[
    "created", "preparing", "warming", "training", "saving", "evaluating",
    "completed", "failed", "cancelled", "crashed",
]  # fmt: skip


class LsSettings(Settings):
    """Which runs are listed."""

    state: State | None = None
    """List only runs in this state: created, preparing, warming, training, saving, evaluating, completed,
    failed, cancelled or crashed."""

    method: Literal["sft", "dpo", "grpo", "data"] | None = None
    """List only runs that train with this method, or those that prepare data alone."""

    limit: PositiveInt = 20
    """List this many, the newest."""

    as_json: bool = False
    """Print JSON."""


class ShowSettings(Settings):
    """Which run is shown."""

    run: str = Field(min_length=1)
    """A run: its name, how it begins, the four characters at its end, its folder, or "last"."""

    as_json: bool = False
    """Print JSON."""


class LogsSettings(Settings):
    """Which log is printed."""

    run: str = Field(min_length=1)
    """A run: its name, how it begins, the four characters at its end, its folder, or "last"."""

    rank: NonNegativeInt | None = None
    """Print all that this rank's process printed, instead of what the run said of itself."""

    preparation: bool = False
    """Print what the process that prepared the data printed."""

    lines: NonNegativeInt | None = None
    """Begin with this many lines before the end; all when not given."""

    follow: bool = False
    """Print what comes as it comes, until the run has ended."""


class WaitSettings(Settings):
    """Which run is waited for."""

    run: str = Field(min_length=1)
    """A run: its name, how it begins, the four characters at its end, its folder, or "last"."""

    timeout: NonNegativeFloat | None = None
    """Wait no longer than this many seconds; exit code 124 says that the run still goes on."""


class RmSettings(Settings):
    """Which runs go."""

    runs: tuple[str, ...] = Field(min_length=1)
    """Runs, named as anywhere: a name, how it begins, the four characters at its end, "last"."""

    dry_run: bool = False
    """Say what would be removed, and remove nothing."""

    yes: bool = False
    """Do not ask."""

    as_json: bool = False
    """Print JSON; implies --yes."""


class CompareSettings(Settings):
    """Which runs are compared."""

    runs: tuple[str, ...] = Field(min_length=1)
    """Two to six runs: names, how they begin, the four characters at their ends, "last"."""

    html: str | None = None
    """Also write the comparison with its picture as a web page to this file."""

    svg: str | None = None
    """Also write the picture to this file."""

    as_json: bool = False
    """Print JSON."""


class ResumeRunSettings(OutputSettings):
    """Which run goes on, and how it is shown."""

    run: str = Field(min_length=1)
    """A run: its name, how it begins, the four characters at its end, its folder, or "last"."""

    allow_drift: bool = False
    """Resume although data, model, GPUs or settings are not what they were."""


class ReproSettings(OutputSettings):
    """Which run is repeated, and how it is shown."""

    run: str = Field(min_length=1)
    """A run: its name, how it begins, the four characters at its end, its folder, or "last"."""

    dry_run: bool = False
    """Say what differs from then, and start nothing."""
