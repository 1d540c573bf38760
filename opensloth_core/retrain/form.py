"""The settings of a training as a part of the form of a retraining."""

from typing import Any

from opensloth_core.config.form.schema import parameters_schema
from opensloth_core.config.form.values import FORMS

_APART = ("data", "model", "output", "resume", "allow_drift")
"""Asked for before the others, or of no use when the training is repeated."""


def settings_schema() -> dict[str, Any]:
    """The JSON schema of all settings of all methods, in the groups of their forms."""
    properties: dict[str, Any] = {}
    for method in ("sft", "dpo", "grpo"):
        for name, described in parameters_schema(FORMS[method]).items():
            if name not in _APART:
                properties.setdefault(name, described)
    # Not checked by the server: what is wrong is said in the words of the command line.
    return {"type": "object", "properties": properties, "additionalProperties": True}
