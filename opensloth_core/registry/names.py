"""What a model may be called, and where models are kept."""

import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

from opensloth_core.errors import ConfigError
from opensloth_core.expanded import expanded
from opensloth_core.store.home import home_dir

VARIABLE = "OPENSLOTH_MODELS"

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]*$"
MAX_NAME = 100
"""How a model's name is spelt; see `check_name`."""

ID_PATTERN = r"^([0-9]{4,})-[0-9a-f]{4}$"
"""What a version is called."""

_MERGED = "merged-"
"""How folders of models with an adapter merged into them begin, beside which models are kept."""

_RESERVED = {"embedded", "current", "versions", "last", "v1"}
"""Names that mean something else where a model is named, or in a folder of models."""


def check_name(name: str) -> str:
    """`name`, if a model may be called so.

    Raises:
        ConfigError: it may not.
    """
    if not _is_spelt_well(name):
        raise ConfigError(
            f"model name {name!r}: give lower-case letters, digits, '.', '_' and '-', a letter or a digit "
            f"first, {MAX_NAME} at most, such as support-bot"
        )
    if not is_name(name):
        raise ConfigError(f"model name {name!r}: means something else; choose another, such as support-bot")
    return name


def is_name(name: str) -> bool:
    """Whether a model may be called so."""
    is_taken = name in _RESERVED or name.startswith(_MERGED) or name.endswith((".lock", ".json"))
    return _is_spelt_well(name) and not is_taken


def _is_spelt_well(name: str) -> bool:
    return re.fullmatch(NAME_PATTERN, name) is not None and len(name) <= MAX_NAME


def models_root() -> str:
    """Where models are kept: what `OPENSLOTH_MODELS` says, or `models` in the home."""
    return os.environ.get(VARIABLE, "").strip() or str(home_dir() / "models")


def local_models_root() -> Path | None:
    """The folder that models are kept in; None where they are in a remote store."""
    root = models_root().removeprefix("file://").removeprefix("local://")
    return None if "://" in root else expanded(root)


def new_id(ids: Iterable[str]) -> str:
    """Name for a version that comes after those of these names."""
    return f"{max((number(one) for one in ids), default=0) + 1:04d}-{secrets.token_hex(2)}"


def is_id(text: str) -> bool:
    """Whether a text has the form of a version's name."""
    return re.fullmatch(ID_PATTERN, text) is not None


def number(version_id: str) -> int:
    """Which promotion made a version: 7 of `0007-3fa2`; 0 where the name is of another form."""
    found = re.match(ID_PATTERN, version_id)
    return int(found[1]) if found else 0
