"""Settings from environment variables.

Every setting has a variable, `OPENSLOTH_SET_` and its name: OPENSLOTH_SET_BATCH_SIZE=4. The prefix is longer
than `OPENSLOTH_` because variables such as OPENSLOTH_HOME or OPENSLOTH_STORE say where things are and are no
settings of a run: no setting that is ever added can take the name of one of them, and every name that begins
with the prefix can be checked, so that a misspelt one is an error.
"""

import json
from collections.abc import Mapping
from typing import Any

from opensloth_core.config.layer import Layer, SourceError
from opensloth_core.config.nest import flat_names
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.config.spelling import did_you_mean
from opensloth_core.errors import ConfigError

PRODUCT = "OPENSLOTH_"
PREFIX = "OPENSLOTH_SET_"


def variable(name: str) -> str:
    """`OPENSLOTH_SET_LEARNING_RATE` for `learning_rate`."""
    return PREFIX + name.upper()


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """The settings in an environment.

    A value is written as after a flag; several values of one setting are a JSON list or object.

    Raises:
        SourceError: a variable with the prefix names no setting or is empty, one without it names a setting,
            or two name the same.
    """
    homes = flat_names(OpenSlothConfig)
    known = {variable(name): name for name in homes}
    values: dict[str, Any] = {}
    for name in sorted(environ):
        bare = name.removeprefix(PRODUCT).lower()
        if name.startswith(PREFIX):
            values[_known(name, known)] = _value(name, environ[name])
        elif name.startswith(PRODUCT) and bare in homes:
            raise SourceError(f"{name}: variables of settings begin with {PREFIX}; set {variable(bare)}")
    origins = {homes[name]: variable(name) for name in values}
    try:
        return Layer("environment", Layer.of("environment", values).values, origins)
    except ConfigError as err:
        raise SourceError(f"environment ({PREFIX}…): {err}") from err


def _known(name: str, known: Mapping[str, str]) -> str:
    if name not in known:
        # Compared without the prefix, which would make any two of them look alike.
        meant = did_you_mean(name.removeprefix(PREFIX), [one.removeprefix(PREFIX) for one in known])
        meant = meant.replace("did you mean ", f"did you mean {PREFIX}")
        raise SourceError(f"{name}: no such setting{meant or '; os-train schema lists all'}")
    return known[name]


def _value(name: str, text: str) -> Any:
    if not text.strip():
        raise SourceError(f"{name}: is empty; give a value, or unset it")
    if text.lstrip().startswith(("[", "{")):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text  # a glob may begin with a bracket
    return text
