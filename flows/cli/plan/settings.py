"""The settings of a plan, as those of a run are shown."""

from pathlib import Path

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.report.record import RunRecord
from opensloth_core.runs.report.settings import changed_settings, settings_values, shown


def differing_settings(config: OpenSlothConfig) -> list[str]:
    """Name, value and default of what differs, a line each."""
    rows = [
        (name, value, f"({default})" if default else "")
        for name, value, default in changed_settings(_record(config))
    ]
    width = max((len(name) for name, *_ in rows), default=0)
    return [f"{name:{width}}  {value}  {default}".rstrip() for name, value, default in rows]


def settings_of(config: OpenSlothConfig) -> list[str]:
    """Every setting that the method has a use for, a line each."""
    values = settings_values(_record(config))
    width = max(map(len, values))
    return [f"{name:{width}}  {shown(value)}" for name, value in values.items()]


def resolved(config: OpenSlothConfig) -> dict[str, object]:
    """Every setting as the run would record it."""
    return settings_values(_record(config))


def _record(config: OpenSlothConfig) -> RunRecord:
    return RunRecord(Path(), (), config.resolved().model_dump(mode="json"), ())
