"""The JSON schema of a form's parameters: what the page draws, and what the server checks on submission.

The page knows `type`, `enum`, `default`, `title` and `description`; the server refuses by bounds, patterns
and unknown names too. A bound stands beside `anyOf`, not in it, so that the refusal names it. What may be
left out has no `null` in its type: the server allows that by itself, and the page would draw tabs for it.
"""

from typing import Any

from opensloth_core.config.base import Settings
from opensloth_core.config.form.layout import GROUPS, FormField
from opensloth_core.config.form.values import Form, as_typed

Schema = dict[str, Any]


class Driving(Settings):
    """How a deployment drives a run; beside the settings of its form."""

    resume: str | None = None
    """Go on with a run of this server that did not end well, by its name, or "auto" for the newest one of
    this configuration, if there is one; a new run when empty."""

    allow_drift: bool = False
    """Resume although data, model, GPUs or settings are not what they were."""


TITLES = {
    "gpus": "GPUs",
    "lora": "LoRA",
    "dpo": "DPO",
    "grpo": "GRPO",
    "lora_rank": "LoRA rank",
    "lora_alpha": "LoRA alpha",
    "lora_dropout": "LoRA dropout",
    "pretrained_lora": "Pretrained LoRA",
    "merge_lora": "Merge LoRA",
    "lr_scheduler": "Learning rate schedule",
    "kl_beta": "KL beta",
    "top_p": "Top-p",
    "dtype": "Number format",
    "finetuning_type": "Fine-tuning type",
    "map": "Column map",
    "max_seq_length": "Max sequence length",
    "num_generations": "Number of generations",
    "output": "Output folder",
    "preparation": "Data preparation",
    "samples_from": "Samples from",
    "run": "Checkpoints and restarts",
    "data_output": "Data output folder",
}

_TEXT = {"type": "string"}
_SHARE_TEXT = r"^\s*[0-9]+(\.[0-9]*)?\s*%?\s*$"
_TEXTS = {"type": "array", "items": {"type": "string", "minLength": 1}}

SHAPES: dict[str, Schema] = {
    "data": {"anyOf": [_TEXT, _TEXTS], "minLength": 1, "minItems": 1},
    "reward": {"anyOf": [_TEXT, _TEXTS], "minLength": 1, "minItems": 1},
    "gpus": {
        "anyOf": [_TEXT, {"type": "integer"}],
        "minimum": 1,
        "pattern": r"^ *(auto|[0-9 ,]+) *$",
    },
    "batch_size": {"anyOf": [{"type": "integer"}, _TEXT], "minimum": 1, "pattern": "^auto$"},
    "eval_size": {"anyOf": [{"type": "number"}, _TEXT], "exclusiveMinimum": 0, "pattern": _SHARE_TEXT},
    "max_rejected": {
        "anyOf": [{"type": "number"}, _TEXT],
        "minimum": 0,
        "maximum": 1,
        "pattern": _SHARE_TEXT,
    },
    "map": {"type": "array", "items": {"type": "string", "pattern": "^[^=]+=.+$"}},
    "target_modules": {"type": "string", "minLength": 1},
    "report_to": {"type": "string", "minLength": 1},
    # The page's switch has no third position for "not given".
    "gradient_checkpointing": {"type": "string", "enum": ["true", "false"]},
}
"""Settings of which a person may write more than the models' own schema tells."""


def parameters_schema(form: Form) -> dict[str, Schema]:
    """The schema of each parameter, in the order the page shows them; see `required`."""
    driving = described_settings(Driving) if form.method else {}
    return settings_schema(form) | driving


def settings_schema(form: Form, is_prefilled: bool = True) -> dict[str, Schema]:
    """The schema of each setting of a form, in its groups.

    Args:
        is_prefilled: whether the page shows defaults as values, and so submits them; otherwise the
            descriptions tell them.
    """
    properties: dict[str, Schema] = {}
    for field in form.fields:
        described = _property(form, field, is_prefilled)
        if len(field.path) == 1:
            properties[field.path[0]] = described
            continue
        group = properties.setdefault(field.path[0], _group(field.path[0]))
        group["properties"][field.path[1]] = described | {"position": len(group["properties"])}
    return properties


def described_settings(model: type[Settings]) -> dict[str, Schema]:
    """The schema of the settings of a model that stand beside those of a form; without defaults."""
    return {
        name: {
            **(SHAPES[name] if name in SHAPES else _plain(described)),
            "title": _title(name),
            "description": " ".join(described["description"].split()),
        }
        for name, described in model.model_json_schema()["properties"].items()
    }


def required(form: Form) -> tuple[str, ...]:
    """The parameters that a run cannot do without."""
    least = ("data", "model")
    return least if form.takes(dict.fromkeys(least, "any")) else (*least, "reward")


def _group(name: str) -> Schema:
    group = {"type": "object", "title": _title(name), "description": GROUPS[name].description}
    return {**group, "additionalProperties": False, "properties": {}}


def _property(form: Form, field: FormField, is_prefilled: bool) -> Schema:
    name = field.path[-1]
    described = form.described(field)
    description = " ".join(described["description"].split())
    plain = {**SHAPES[name]} if name in SHAPES else _plain(described)
    if name == "batch_size" and form.method == "grpo":
        plain = {"type": "integer", "minimum": 1}
    if form.method and "enum" in plain:
        plain["enum"] = [choice for choice in plain["enum"] if form.allows(field, choice)]
    default = described.get("default")
    if is_prefilled and form.is_prefilled(field):
        plain["default"] = default
    elif isinstance(default, str | list | int | float) and default != [] and not isinstance(default, bool):
        typed = as_typed(name, default)
        shown = ", ".join(typed) if isinstance(typed, list) else str(typed)
        description = f"{description} Default: {shown}."
    if name == "model" and form.method:
        description = f"{description} A run of this server may be given by its name."
    return {**plain, "title": _title(name), "description": description}


def _plain(described: Schema) -> Schema:
    """A property without what is said apart, and without "or null"."""
    kept = {
        key: value
        for key, value in described.items()
        if key not in ("title", "description", "default", "anyOf", "format")
    }
    for way in described.get("anyOf", ()):
        if way.get("type") != "null":
            kept |= {key: value for key, value in way.items() if key != "format"}
    return kept


def _title(name: str) -> str:
    return TITLES.get(name) or name.replace("_", " ").capitalize()
