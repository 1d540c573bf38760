"""Layers of settings merged into one configuration.

Precedence, weakest first: the models' own defaults, the prepared data's manifest, the flags.
A layer holds only what was given, so "not given" never beats a weaker layer.
"""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import AliasChoices, BaseModel

from opensloth_core.config.base import Settings
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError


class TrainingConfigBuilder:
    """Builds an `OpenSlothConfig` from layers, weakest first.

    Example:
        config = (
            TrainingConfigBuilder()
            .with_manifest(prepared.manifest.preparation)
            .with_flags({"epochs": 3, "lr": 1e-4})
            .build()
        )
    """

    def __init__(self) -> None:
        self._layers: list[tuple[str, dict[str, Any]]] = []

    def with_manifest(self, preparation: Mapping[str, Any]) -> Self:
        """Add the settings the prepared data was made with."""
        return self._with("the prepared data's manifest", preparation)

    def with_flags(self, flags: Mapping[str, Any]) -> Self:
        """Add what the user gave; nested settings may be named flat (`lr`, `lora_rank`)."""
        return self._with("flags", flags)

    def _with(self, origin: str, values: Mapping[str, Any]) -> Self:
        self._layers.append((origin, nest(values, OpenSlothConfig)))
        return self

    def build(self) -> OpenSlothConfig:
        """The merged configuration.

        Raises:
            ConfigError: a setting is unknown, missing or out of bounds.
        """
        merged: dict[str, Any] = {}
        for _, values in self._layers:
            # Both say what training starts from, so the stronger layer's takes the place of the weaker's.
            for given, replaced in (("init_from", "model"), ("model", "init_from")):
                if values.get(given) is not None:
                    merged.pop(replaced, None)
            merged = _merge(merged, values)
        return OpenSlothConfig.of(merged)

    def origin(self, path: str) -> str:
        """Where the value of a setting (`training.learning_rate`) comes from."""
        for origin, values in reversed(self._layers):
            found: Any = values
            for part in path.split("."):
                found = found.get(part) if isinstance(found, dict) else None
            if found is not None:
                return str(origin)
        return "default"


def names_of(model: type[BaseModel], field: str) -> list[str]:
    """Every name a field answers to, its own first."""
    alias = model.model_fields[field].validation_alias
    others = [str(a) for a in alias.choices] if isinstance(alias, AliasChoices) else []
    return [field, *(name for name in others if name != field)]


def nested_settings(model: type[BaseModel]) -> dict[str, type[Settings]]:
    """The fields of a model that are groups of settings themselves."""
    groups = {name: field.annotation for name, field in model.model_fields.items()}
    return {
        name: kind for name, kind in groups.items() if isinstance(kind, type) and issubclass(kind, Settings)
    }


def nest(values: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """`values` with aliases resolved and flat names moved into the group they belong to.

    Unknown names stay where they are, for validation to refuse.

    Raises:
        ConfigError: one setting is given twice, under two of its names.
    """
    canonical = {alias: name for name in model.model_fields for alias in names_of(model, name)}
    groups = nested_settings(model)
    homes = {
        alias: (group, name)
        for group, kind in groups.items()
        for name in kind.model_fields
        for alias in names_of(kind, name)
    }
    nested: dict[str, Any] = {}
    given: dict[tuple[str, ...], str] = {}
    for name, value in values.items():
        field = canonical.get(name, name)
        place = homes[name] if field not in model.model_fields and name in homes else (field,)
        if place in given:
            raise ConfigError(f"{given[place]} and {name} are one setting, {place[-1]}; give one")
        given[place] = name
        if field in groups:
            inner = value.model_dump(exclude_unset=True) if isinstance(value, BaseModel) else value
            if isinstance(inner, Mapping):
                inner = nest(inner, groups[field])
            nested = _merge(nested, {field: inner})
        elif len(place) == 2:
            nested = _merge(nested, {place[0]: {place[1]: value}})
        else:
            nested[field] = value
    return nested


def _merge(weak: dict[str, Any], strong: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(weak)
    for name, value in strong.items():
        if isinstance(value, dict) and isinstance(merged.get(name), dict):
            merged[name] = _merge(merged[name], value)
        else:
            merged[name] = value
    return merged
