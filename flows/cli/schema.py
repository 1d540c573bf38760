"""`os-train schema`: what a configuration file may hold, as JSON schema for editors and checks."""

import copy
import json
from typing import Any

from flows.cli.command import Command
from opensloth_core.config.base import Settings
from opensloth_core.config.data import Method
from opensloth_core.config.nest import Names, flat_names, names_of, nested_settings
from opensloth_core.config.opensloth import OpenSlothConfig

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_TEXT = {"type": "string"}
_PERCENT = {"type": "string", "pattern": r"^\s*[0-9.eE+-]+\s*%\s*$"}
_NUMBER_TEXT = {"type": "string", "pattern": r"^\s*[+-]?[0-9.]+([eE][+-]?[0-9]+)?\s*$"}
_BY_NAME = {"type": "object", "additionalProperties": {"type": "number"}}

SHORTHAND: dict[str, list[dict[str, Any]]] = {
    "data": [_TEXT],
    "map": [_TEXT, {"type": "array", "items": _TEXT}],
    "eval_size": [_PERCENT],
    "max_rejected": [_PERCENT],
    "gpus": [{"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}],
    "target_modules": [_TEXT],
    "report_to": [_TEXT],
    "reward": [_TEXT, _BY_NAME, {"type": "array", "items": {"anyOf": [_TEXT, {"type": "object"}]}}],
}
"""Further ways to write a value, which the models understand and their own schema does not tell."""


class SchemaSettings(Settings):
    """Whose settings are described."""

    schema_method: Method | None = None
    """Training method; all of them when not given."""


def config_schema(method: str | None = None) -> dict[str, Any]:
    """The JSON schema of a configuration file: every setting, flat or in its group, under any of its names.

    Nothing is required, since flags may give the rest.

    Args:
        method: leave out what only other methods have.
    """
    schema = OpenSlothConfig.model_json_schema(by_alias=False)
    definitions = schema.pop("$defs", {})
    groups = {
        name: kind
        for name, kind in nested_settings(OpenSlothConfig).items()
        if method is None or name == method or name not in ("dpo", "grpo")
    }
    properties: dict[str, Any] = {}
    for name, place in flat_names(OpenSlothConfig).items():
        if place[0] in groups or len(place) == 1:
            properties[name] = _property(schema, definitions, place)
    for group, kind in groups.items():
        inner = {
            alias: _property(schema, definitions, (group, field))
            for field in kind.model_fields
            for alias in names_of(kind, field)
        }
        properties[group] = {"type": "object", "properties": inner, "additionalProperties": False}
        properties[group]["description"] = schema["properties"][group].get("description", "")
    if method is not None:
        for alias in names_of(OpenSlothConfig, "method"):
            properties[alias] = {"const": method, "description": properties[alias]["description"]}
    used = json.dumps(properties)
    return {
        "$schema": DIALECT,
        "title": f"OpenSloth {method or 'run'}",
        "description": "Settings of a run, as --config takes them.",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": {name: one for name, one in definitions.items() if f'"#/$defs/{name}"' in used},
    }


def _property(schema: dict[str, Any], definitions: dict[str, Any], place: Names) -> dict[str, Any]:
    home = schema if len(place) == 1 else definitions[nested_settings(OpenSlothConfig)[place[0]].__name__]
    described: dict[str, Any] = copy.deepcopy(home["properties"][place[-1]])
    described.pop("title", None)
    description = " ".join(described.pop("description", "").split())
    default = {"default": described.pop("default")} if "default" in described else {}
    ways = described.pop("anyOf", None) or [described]
    if any(way.get("type") in ("number", "integer") for way in ways):
        # YAML 1.1 takes 1e-4 for text, and the models take it for a number.
        ways = [*ways, _NUMBER_TEXT]
    ways = [*ways, *SHORTHAND.get(place[-1], ())]
    return {"description": description, **default, **(ways[0] if len(ways) == 1 else {"anyOf": ways})}


def _run(settings: SchemaSettings) -> int:
    from flows.cli.cache.answer import answered

    def printed() -> int:
        print(json.dumps(config_schema(settings.schema_method), indent=2))
        return 0

    return answered("os-train schema", printed)


SCHEMA = Command(
    name="schema",
    summary="Print the JSON schema of configuration files.",
    usage="os-train schema [sft|dpo|grpo]",
    description=(
        "Prints what a --config file may hold as JSON schema, with which editors complete and check it: every"
        " setting, in its group (training: {lr: 1e-4}) or without it."
    ),
    examples=("os-train schema", "os-train schema sft"),
    settings=SchemaSettings,
    configure=SchemaSettings.of,
    run=_run,
    positional="schema_method",
)
