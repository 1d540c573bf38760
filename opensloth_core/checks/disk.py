"""Whether there is room for what a run writes."""

from collections.abc import Sequence

from opensloth_core.doctor.finding import Finding, warning
from opensloth_core.errors import ConfigError
from opensloth_core.plan.disk import DiskEstimate
from opensloth_core.runs.report.numbers import size
from opensloth_core.store.home import home_dir

NAME = "disk"
LITTLE_BYTES = 100_000_000

_REMEDY = "make room: os-train cache gc --max-age 30d, os-train runs rm RUN; or set OPENSLOTH_HOME elsewhere"


def check_disk(disk: DiskEstimate) -> None:
    """Refuse where not even the result can be written.

    Raises:
        ConfigError: too little is free.
    """
    if disk.result is not None and disk.result > disk.free:
        raise ConfigError(
            f"{home_dir()}: {size(disk.free)} are free, and the result alone takes {size(disk.result)}; "
            f"{_REMEDY}"
        )


def disk_warnings(disk: DiskEstimate) -> Sequence[Finding]:
    """A warning where data, checkpoints and result together may not find room."""
    if disk.result is not None and disk.result > disk.free:
        return []
    if disk.total + LITTLE_BYTES <= disk.free:
        return []
    text = f"about {size(disk.total)} are written to {home_dir()}, where {size(disk.free)} are free"
    return [warning(NAME, text, _REMEDY)]
