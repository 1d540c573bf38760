"""Whether the Python code that a model's folder brings may run."""

import json
import os
from pathlib import Path

from opensloth_core.checks.roots import is_confined
from opensloth_core.errors import ConfigError, ModelError
from opensloth_core.readme import DEPLOYMENTS, more_in_readme

ALLOW_VARIABLE = "OPENSLOTH_ALLOW_REMOTE_CODE"


def check_trust(trust_remote_code: bool) -> None:
    """Refuse to trust a model's code in a run that a server started, unless the worker's owner allows it.

    Raises:
        ConfigError: it is asked for and not allowed.
    """
    if trust_remote_code and is_confined() and os.environ.get(ALLOW_VARIABLE) != "1":
        raise ConfigError(
            "trust_remote_code: a run of this server may not run a model's own code; drop it, or have who "
            f"runs the worker set {ALLOW_VARIABLE}=1 in its environment"
            f"{more_in_readme('What such runs may do', DEPLOYMENTS)}"
        )


def check_needs_no_code(model_dir: Path, trust_remote_code: bool) -> None:
    """Refuse a model that only its own code can load, where that is not trusted.

    Raises:
        ModelError: transformers knows no such architecture.
    """
    config = _json(model_dir / "config.json")
    # Only now, since asking transformers takes seconds.
    if trust_remote_code or "auto_map" not in config:
        return
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    kind = config.get("model_type")
    if kind not in CONFIG_MAPPING_NAMES:
        raise ModelError(
            f"{model_dir}: transformers does not know the architecture {kind}, which comes with Python code "
            "of its own; read that, and give trust_remote_code to run it"
        )


def _json(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as err:
        raise ModelError(f"{path}: cannot be read: {err}") from err
    if not isinstance(value, dict):
        raise ModelError(f"{path}: must be a JSON object")
    return value
