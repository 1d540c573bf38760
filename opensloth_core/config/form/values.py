"""Between the values of a form and the configuration they mean."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from opensloth_core.config.base import Place, describe, dotted
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.form.layout import GROUPS, FormField, fields_of
from opensloth_core.config.nest import Names, nest
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.config.spelling import did_you_mean
from opensloth_core.config.training import both_lengths
from opensloth_core.errors import ConfigError

_RUN_NAME = re.compile(r"[^/]+-\d{8}-\d{6}-[0-9a-f]{4}")


@dataclass(frozen=True)
class Form:
    """The settings that one flow is started with."""

    model: type[DatasetPrepConfig]

    method: str | None
    """The method of a training flow; the form that prepares data asks for it."""

    @cached_property
    def fields(self) -> tuple[FormField, ...]:
        return tuple(fields_of(self.model, self.method))

    def described(self, field: FormField) -> dict[str, Any]:
        """The JSON schema that the models have of a setting."""
        home = self._schema
        for group in field.place[:-1]:
            home = home["$defs"][home["properties"][group]["$ref"].rpartition("/")[2]]
        described: dict[str, Any] = home["properties"][field.place[-1]]
        return described

    def takes(self, values: Mapping[str, Any]) -> bool:
        """Whether these values make a configuration."""
        try:
            self.config_of(values)
        except ConfigError:
            return False
        return True

    def allows(self, field: FormField, choice: str) -> bool:
        """Whether a choice has a meaning for the form's method."""
        trial = {"data": "any", "model": "any", "method": self.method, "samples": 1}
        if self.method == "grpo":
            trial["reward"] = "math"
        try:
            self.model.model_validate(nest({**trial, field.path[-1]: choice}, self.model))
        except ValidationError:
            return False
        return True

    def is_prefilled(self, field: FormField) -> bool:
        """Whether the page shows the default as the value, which then counts as "not given".

        Not where giving the default is something else than giving nothing: an adapter that a run begins with
        brings its own rank. And not in lists, where a person would add to what is there.
        """
        return field.place[0] != "lora" and isinstance(
            self.described(field).get("default"), str | int | float
        )

    @cached_property
    def _schema(self) -> dict[str, Any]:
        return self.model.model_json_schema(by_alias=False)

    def config_of(self, values: Mapping[str, Any]) -> DatasetPrepConfig:
        """The configuration that the values of a form mean; None is "not given".

        Raises:
            ConfigError: an unknown name, or what the command line would refuse too, in its words.
        """
        fields = {field.path: field for field in self.fields}
        nested: dict[str, Any] = {"method": self.method} if self.method else {}
        called: dict[str, str] = {}
        for path, value in self._given(values):
            if path not in fields:
                raise ConfigError(f"{dotted(path)}: no such setting{self._meant(path)}")
            field = fields[path]
            if self.is_prefilled(field) and value == self.described(field)["default"]:
                continue
            called[path[-1]] = dotted(path)
            *groups, name = field.place
            home = nested
            for group in groups:
                home = home.setdefault(group, {})
            home[name] = value
        if problem := both_lengths(called, called.__getitem__):
            raise ConfigError(problem)
        run = nested.get("model")
        if self.method and isinstance(run, str) and _RUN_NAME.fullmatch(run):
            nested["init_from"] = nested.pop("model")
        try:
            return self.model.model_validate(nested)
        except ValidationError as err:
            raise ConfigError(describe(err, self.model, self._spelled)) from err

    def values_of(self, config: DatasetPrepConfig) -> dict[str, Any]:
        """The values of the form that mean this configuration: what it was given, as JSON has it.

        Of two lengths of a run, as a file may give them, the one that counts.
        """
        given = config.model_dump(mode="json", exclude_unset=True)
        training = given.get("training", {})
        if training.get("max_steps") is not None:
            training.pop("epochs", None)
        values: dict[str, Any] = {}
        for field in self.fields:
            value: Any = given
            for part in field.place:
                value = value.get(part) if isinstance(value, Mapping) else None
            if value is None:
                continue
            home = values if len(field.path) == 1 else values.setdefault(field.path[0], {})
            home[field.path[-1]] = as_typed(field.path[-1], value)
        return values

    def _given(self, values: Mapping[str, Any]) -> list[tuple[Names, Any]]:
        given: list[tuple[Names, Any]] = []
        for name, value in values.items():
            if name in GROUPS and isinstance(value, Mapping):
                given += [((name, inner), one) for inner, one in value.items()]
            else:
                given.append(((name,), value))
        return [(path, value) for path, value in given if value is not None]

    def _meant(self, path: Names) -> str:
        own = next((field.path for field in self.fields if field.path[-1] == path[-1]), None)
        if own is not None:
            return f"; did you mean {dotted(own)}?"
        names = [field.path[-1] for field in self.fields]
        return did_you_mean(path[-1], names) or f"; known: {', '.join(names)}"

    def _spelled(self, place: Place) -> str:
        for field in self.fields:
            if place[: len(field.place)] == field.place:
                return dotted((*field.path, *place[len(field.place) :]))
        return dotted(place)


def form_of(config: DatasetPrepConfig) -> Form:
    """The form that asks for such a configuration."""
    return FORMS[config.method if isinstance(config, OpenSlothConfig) else "data"]


FORMS: Mapping[str, Form] = {
    "sft": Form(OpenSlothConfig, "sft"),
    "dpo": Form(OpenSlothConfig, "dpo"),
    "grpo": Form(OpenSlothConfig, "grpo"),
    "data": Form(DatasetPrepConfig, None),
}
"""The form of each flow."""


def as_typed(name: str, value: Any) -> Any:
    """A value as a person types it: `math=0.5` for a reward, names separated by commas."""
    if name == "reward":
        return [one["name"] if one["weight"] == 1 else f"{one['name']}={one['weight']!r}" for one in value]
    if name == "map":
        return [f"{name}={column}" for name, column in value.items()]
    if name in ("target_modules", "report_to"):
        return ", ".join(value)
    return str(value).lower() if name == "gradient_checkpointing" else value
