"""A configuration as another process understands it, which has another working directory."""

import os
from pathlib import Path
from typing import Any, TypeVar

from opensloth_core.config.concealed import is_concealed
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.read.hub import HubId
from opensloth_core.data.read.inputs import find_inputs
from opensloth_core.data.read.place import is_url
from opensloth_core.errors import ConfigError

Config = TypeVar("Config", bound=DatasetPrepConfig)

_GLOB = frozenset("*?[")
_FOLDERS = ("output", "data_output", "pretrained_lora")


def with_absolute_paths(config: Config) -> Config:
    """The same settings, with paths of this machine resolved against the working directory.

    Raises:
        ConfigError: a URL with a password or a signature, which the server would keep and show.
    """
    for source in config.data:
        if is_concealed(source):
            raise ConfigError(
                f"data {source}: holds a password or a signature, and a server keeps and shows the parameters"
                " of its runs; give the credentials to the worker's environment, or run without --remote"
            )
    changed: dict[str, Any] = {"data": tuple(_source(source) for source in config.data)}
    if Path(config.model).expanduser().exists():
        changed["model"] = _absolute(config.model)
    for name in _FOLDERS:
        if (folder := getattr(config, name, None)) is not None:
            changed[name] = Path(_absolute(str(folder)))
    return config.model_copy(update=changed)


def refuse_missing(config: DatasetPrepConfig) -> None:
    """Say of data that is not there just that, before anything is said of where it may be.

    Raises:
        DataError: neither a file nor a folder, nor what could be the name of a data set of the hub.
    """
    names = [one for one in config.data if not is_url(one) and not _GLOB & set(one)]
    missing = [one for one in names if HubId.parse(one) is None and not Path(one).expanduser().exists()]
    if missing:
        find_inputs(missing[:1], None)


def _source(source: str) -> str:
    if is_url(source):
        return source
    is_here = Path(source).expanduser().exists() or bool(_GLOB & set(source))
    return _absolute(source) if is_here else source


def _absolute(path: str) -> str:
    # Without following links: who opened a folder for runs opened it under this name.
    return os.path.normpath(Path(path).expanduser().absolute())
