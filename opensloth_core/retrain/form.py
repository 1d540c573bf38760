"""The form of a retraining: what is retrained how, and the settings of its training as a part of it.

    name  data  model  method  min_improvement  keep  warm_start
    settings    those of all methods, in the groups of their forms

The page submits what it shows. A default among the settings would be one more that was given, and of another
method than the one that is chosen, so the descriptions tell defaults and no field is filled in.
"""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field

from opensloth_core.config.base import Settings
from opensloth_core.config.data import DataSources, Method
from opensloth_core.config.form.schema import Schema, described_settings, settings_schema
from opensloth_core.config.form.values import FORMS
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.registry.names import MAX_NAME, NAME_PATTERN
from opensloth_core.retrain.settings import ADAPTERS, EVAL_SIZE, REFUSED, retraining_config

_METHODS: tuple[Method, ...] = ("sft", "dpo", "grpo")

_NAMES = {method: {field.path[-1] for field in FORMS[method].fields} for method in _METHODS}

_SHARE_TEXT = r"^\s*(0?\.[0-9]+|[0-9]{1,2}(\.[0-9]*)?\s*%)\s*$"

_EVAL_SIZE = (
    "Hold out this share (0.05, 5%) of the rows, on which models are compared: each prompt's chance, so "
    f"rows stay where they are as data grows. Default: {EVAL_SIZE:g}."
)
_FINETUNING_TYPE = "Train an adapter (lora), or an adapter on a 4-bit model (qlora, GPU only). Default: lora."


class Retraining(Settings):
    """What is retrained, and when its model is promoted."""

    name: str = Field(json_schema_extra={"pattern": NAME_PATTERN, "maxLength": MAX_NAME})
    """What the model is called; its versions are in $OPENSLOTH_HOME/models, or in OPENSLOTH_MODELS."""

    data: DataSources
    """What is watched: files, folders, globs, URLs (s3://, …) or a hub data set; one, or a list."""

    model: str = Field(min_length=1)
    """The base model: a folder, a hub id or "embedded"."""

    method: Method = "sft"
    """How it is trained."""

    min_improvement: float = Field(default=0.01, ge=0, lt=1)
    """By what share the loss (grpo: the mean reward) on held-out rows has to be better than that of the
    version in use, or of the base model where there is none."""

    keep: int = Field(default=5, ge=1)
    """How many promoted versions are kept, for rolling back."""

    warm_start: bool = False
    """Go on with the promoted adapter, instead of a new one on the base model."""

    settings: dict[str, Any] = Field(default_factory=dict)
    """All else, by the names and in the groups of the form of finetune-sft, -dpo or -grpo; a tenth of the
    rows is held out unless eval_size gives another share."""

    @classmethod
    def given(cls, values: Mapping[str, Any]) -> Self:
        """What the values of the form mean; None is "not given".

        Raises:
            ConfigError: a value is wrong, a name is unknown, or a required one is missing.
        """
        return cls.of({name: value for name, value in values.items() if value is not None})

    def training(self) -> OpenSlothConfig:
        """The configuration of the training.

        Raises:
            ConfigError: a setting is wrong, or retraining has no use for it.
        """
        first = {"data": self.data, "model": self.model}
        config = FORMS[self.method].config_of({**self.settings, **first})
        assert isinstance(config, OpenSlothConfig), "the forms of methods are those of trainings"
        return retraining_config(config)


REQUIRED = tuple(name for name, field in Retraining.model_fields.items() if field.is_required())
"""The parameters that a retraining cannot do without."""


def retraining_schema() -> dict[str, Schema]:
    """The schema of each parameter, in the order the page shows them; see `REQUIRED`."""
    properties = described_settings(Retraining)
    for name, field in Retraining.model_fields.items():
        if not field.is_required() and name != "settings":
            properties[name]["default"] = field.default
    properties["settings"] |= {"additionalProperties": False, "properties": _settings()}
    return properties


def _settings() -> dict[str, Schema]:
    """The settings of all methods but those that are asked for before, or that retraining refuses."""
    properties: dict[str, Schema] = {}
    for method in _METHODS:
        for name, described in settings_schema(FORMS[method], is_prefilled=False).items():
            if "properties" in described:
                group = properties.setdefault(name, {**described, "properties": {}})
                _add(group["properties"], described["properties"])
            else:
                _add(properties, {name: described})
    properties["finetuning_type"] |= {"enum": list(ADAPTERS), "description": _FINETUNING_TYPE}
    properties["preparation"]["properties"]["eval_size"] |= {
        "description": _EVAL_SIZE,
        "exclusiveMaximum": 1,
        "pattern": _SHARE_TEXT,
    }
    for position, described in enumerate(properties.values()):
        described["position"] = position
    return properties


def _add(known: dict[str, Schema], more: dict[str, Schema]) -> None:
    for name, described in more.items():
        if name not in known and name not in {*Retraining.model_fields, *REFUSED}:
            having = [one for one in _METHODS if name in _NAMES[one]]
            only = "" if len(having) == len(_METHODS) else f" Only for method {' or '.join(having)}."
            known[name] = described | {"description": f"{described['description']}{only}"}
