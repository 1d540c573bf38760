"""A preset: what it changes, and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from opensloth_core.config.layer import Layer, SourceError
from opensloth_core.config.spelling import did_you_mean
from opensloth_core.presets.names import PRESETS


@dataclass(frozen=True)
class Change:
    """One setting of a preset."""

    name: str
    """Its flat name."""

    value: Any
    why: str

    only_for: str | None = None
    """The one method for which it is set; None for all that the preset is for."""


@dataclass(frozen=True)
class Preset:
    """A named set of settings."""

    name: str
    summary: str
    """One sentence: when to take it."""

    methods: tuple[str, ...]
    changes: tuple[Change, ...]

    def changes_for(self, method: str) -> list[Change]:
        """What it sets for a method.

        Raises:
            SourceError: it is for other methods.
        """
        if method not in self.methods:
            raise SourceError(f"preset {self.name}: is for {', '.join(self.methods)}, not for {method}")
        return [change for change in self.changes if change.only_for in (None, method)]


@cache
def find_preset(name: str) -> Preset:
    """The preset of a name.

    Raises:
        SourceError: there is none.
    """
    if name not in PRESETS:
        raise SourceError(f"preset {name}: no such preset{did_you_mean(name, PRESETS)}; {', '.join(PRESETS)}")
    import yaml

    text = (resources.files("opensloth_core.presets") / f"{name}.yaml").read_text(encoding="utf-8")
    record: Mapping[str, Any] = yaml.safe_load(text)
    shared = [Change(setting, one["value"], one["why"]) for setting, one in record["settings"].items()]
    special = [
        Change(setting, one["value"], one["why"], method)
        for method, settings in record.get("only_for", {}).items()
        for setting, one in settings.items()
    ]
    return Preset(name, record["summary"], tuple(record["methods"]), (*shared, *special))


def preset_layer(name: str, method: str) -> Layer:
    """The settings of a preset for a method.

    Raises:
        SourceError: there is no such preset, or it is for other methods.
    """
    changes = find_preset(name).changes_for(method)
    return Layer.of(f"preset {name}", {change.name: change.value for change in changes})
