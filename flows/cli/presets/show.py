"""`os-train presets ls` and `show`."""

import json
import textwrap
from dataclasses import asdict
from typing import Any

from flows.cli.cache.answer import terminal_width
from opensloth_core.config.nest import flat_names, nested_settings
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.presets.names import PRESETS
from opensloth_core.presets.preset import Change, Preset, find_preset

_NAME_WIDTH = 14
_INDENT = 4


def run_ls(as_json: bool) -> int:
    """List the presets and give the exit code."""
    presets = [find_preset(name) for name in PRESETS]
    if as_json:
        print(json.dumps([_record(preset) for preset in presets], indent=2))
        return 0
    for preset in presets:
        text = f"{preset.summary} ({', '.join(preset.methods)})"
        print(_filled(text, f"{preset.name:{_NAME_WIDTH}}", " " * _NAME_WIDTH))
    print("\nos-train presets show NAME says what one changes and why.")
    return 0


def run_show(name: str, as_json: bool) -> int:
    """Show one preset and give the exit code."""
    preset = find_preset(name)
    if as_json:
        print(json.dumps(_record(preset), indent=2))
        return 0
    print(_filled(f"{preset.name}: {preset.summary}"))
    print(f"For {', '.join(preset.methods)}.\n")
    for change in preset.changes:
        only = f", {change.only_for} only" if change.only_for else ""
        print(_filled(f"{change.name}: {shown(change.value)} (default {shown(default(change))}{only})"))
        print(_filled(change.why, " " * _INDENT, " " * _INDENT))
    return 0


def default(change: Change) -> Any:
    """What the setting is without the preset; None where that depends on method, model or device."""
    *groups, name = flat_names(OpenSlothConfig)[change.name]
    model = nested_settings(OpenSlothConfig)[groups[0]] if groups else OpenSlothConfig
    return model.model_fields[name].get_default(call_default_factory=True)


def shown(value: Any) -> str:
    """A value as it is written in YAML, `not given` for none."""
    if value is None:
        return "not given"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _record(preset: Preset) -> dict[str, Any]:
    changes = [{**asdict(change), "default": default(change)} for change in preset.changes]
    return {**asdict(preset), "changes": changes}


def _filled(text: str, first: str = "", rest: str = "    ") -> str:
    return textwrap.fill(text, terminal_width(), initial_indent=first, subsequent_indent=rest)
