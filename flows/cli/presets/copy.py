"""`os-train presets copy`."""

import json
import sys
from pathlib import Path

from opensloth_core.presets.preset import Change, Preset, find_preset

USAGE_ERROR = 2
SUFFIXES = (".yaml", ".yml")


def run_copy(name: str, file: Path) -> int:
    """Write a preset as a configuration file and give the exit code."""
    if file.suffix.lower() not in SUFFIXES:
        return _refused(f"{file}: must be named .yaml or .yml")
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(as_yaml(find_preset(name)))
    except FileExistsError:
        return _refused(f"{file}: exists; give the name of a new file")
    except OSError as err:
        return _refused(f"{file}: cannot be written: {err.strerror}")
    print(file)
    return 0


def as_yaml(preset: Preset) -> str:
    """The preset as a file for `--config`, reasons as comments; what only one method has is commented out."""
    lines = [f"# {preset.name}: {preset.summary}", f"# For {', '.join(preset.methods)}.", ""]
    for change in preset.changes:
        lines.append(f"# {change.why}")
        lines.append(_setting(change))
    return "\n".join(lines) + "\n"


def _setting(change: Change) -> str:
    # A JSON value is a YAML value.
    setting = f"{change.name}: {json.dumps(change.value)}"
    return setting if change.only_for is None else f"# {setting}  # with os-train {change.only_for}"


def _refused(message: str) -> int:
    print(f"os-train presets copy: {message}", file=sys.stderr)
    return USAGE_ERROR
