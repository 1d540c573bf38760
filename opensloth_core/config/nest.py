"""Settings by name: which group a flat name belongs to, and which names mean one setting."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import AliasChoices, BaseModel

from opensloth_core.config.base import Settings, dotted
from opensloth_core.errors import ConfigError

Names = tuple[str, ...]


@dataclass(frozen=True)
class Placed:
    """One setting that was given."""

    place: Names
    """Where it belongs: `("training", "learning_rate")`."""

    path: Names
    """How it was given: `("lr",)`."""

    value: Any


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


def flat_names(model: type[BaseModel]) -> dict[str, Names]:
    """The place of every setting that is no group, by each name that means it without its group."""
    groups = nested_settings(model)
    homes = {
        alias: (group, name)
        for group, kind in groups.items()
        for name in kind.model_fields
        for alias in names_of(kind, name)
    }
    own = {
        alias: (name,) for name in model.model_fields if name not in groups for alias in names_of(model, name)
    }
    return {**homes, **own}


def placed(values: Mapping[str, Any], model: type[BaseModel]) -> Iterator[Placed]:
    """Every setting in `values`, with aliases resolved and flat names in the group they belong to.

    Unknown names stay where they are, for validation to refuse.
    """
    groups, homes = nested_settings(model), flat_names(model)
    for name, value in values.items():
        if name not in groups:
            yield Placed(homes.get(name, (name,)), (name,), value)
            continue
        inner = value.model_dump(exclude_unset=True) if isinstance(value, BaseModel) else value
        if not isinstance(inner, Mapping):
            yield Placed((name,), (name,), inner)
            continue
        kind = groups[name]
        fields = {alias: field for field in kind.model_fields for alias in names_of(kind, field)}
        for inner_name, inner_value in inner.items():
            yield Placed((name, fields.get(inner_name, inner_name)), (name, inner_name), inner_value)


def nest(values: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """`values` as the model has them: see `placed`.

    Raises:
        ConfigError: one setting is given twice, under two of its names.
    """
    nested: dict[str, Any] = {}
    given: dict[Names, Names] = {}
    for one in placed(values, model):
        if one.place in given:
            first, second = dotted(given[one.place]), dotted(one.path)
            raise ConfigError(f"{first} and {second} are one setting, {one.place[-1]}; give one")
        given[one.place] = one.path
        home = nested
        for group in one.place[:-1]:
            home = home.setdefault(group, {})
        home[one.place[-1]] = one.value
    return nested
