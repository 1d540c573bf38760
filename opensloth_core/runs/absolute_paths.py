"""A configuration as another process understands it, which has another working directory."""

import os
from pathlib import Path
from typing import Any, TypeVar

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.read.place import is_url
from opensloth_core.expanded import expanded
from opensloth_core.models.embedded import EMBEDDED

Config = TypeVar("Config", bound=DatasetPrepConfig)

GLOB = frozenset("*?[")
"""Characters that make a name a pattern."""

_FOLDERS = ("output", "data_output", "pretrained_lora")


def with_absolute_paths(config: Config) -> Config:
    """The same settings, with paths of this machine resolved against the working directory."""
    changed: dict[str, Any] = {"data": tuple(_source(source) for source in config.data)}
    if config.model != EMBEDDED and _is_here(config.model):
        changed["model"] = _absolute(config.model)
    for name in _FOLDERS:
        if (folder := getattr(config, name, None)) is not None:
            changed[name] = Path(_absolute(str(folder)))
    return config.model_copy(update=changed)


def _source(source: str) -> str:
    if is_url(source):
        return source
    return _absolute(source) if GLOB & set(source) or _is_here(source) else source


def _is_here(path: str) -> bool:
    try:
        return expanded(path).exists()
    except OSError:  # whoever reads it says why it cannot be read
        return True


def _absolute(path: str) -> str:
    # Without following links: who opened a folder for runs opened it under this name.
    return os.path.normpath(expanded(path).absolute())
