"""Folders that `Dataset.save_to_disk` and `DatasetDict.save_to_disk` wrote."""

import json
from typing import Any

from opensloth_core.data.read.storage import Storage
from opensloth_core.errors import DataError

_DICT_FILE = "dataset_dict.json"
_STATE_FILE = "state.json"
_MAX_BYTES = 16 << 20
_INFO_FILE = "dataset_info.json"


def saved_splits(storage: Storage, folder: str) -> list[str] | None:
    """The splits of a saved DatasetDict, each a sub-folder; None where the folder is none."""
    location = joined(folder, _DICT_FILE)
    if storage.kind(location) != "file":
        return None
    splits = _json(storage, location).get("splits")
    if not isinstance(splits, list) or not splits or not all(isinstance(name, str) for name in splits):
        raise DataError(f'{location}: has no list "splits"; save the data set again')
    return [_inside(location, name) for name in splits]


def saved_split(storage: Storage, folder: str) -> str | None:
    """The split that a saved Dataset says it is."""
    split = _json(storage, joined(folder, _STATE_FILE)).get("_split")
    return split if isinstance(split, str) else None


def is_saved(names: set[str]) -> bool:
    """Whether a folder with files of these names is a saved Dataset."""
    return {_STATE_FILE, _INFO_FILE} <= names


def saved_files(storage: Storage, folder: str) -> list[str]:
    """The names of the Arrow files of a saved Dataset in order; what `map` left beside them is not data.

    Raises:
        DataError: its description is damaged.
    """
    location = joined(folder, _STATE_FILE)
    files = _json(storage, location).get("_data_files")
    try:
        return [_inside(location, str(file["filename"])) for file in files]  # type: ignore[union-attr]
    except (TypeError, KeyError) as err:
        raise DataError(f'{location}: has no list "_data_files"; save the data set again') from err


def joined(folder: str, relative: str) -> str:
    """The location of a file in a folder; the folder may be a chained URL."""
    head, chain, rest = folder.partition("::")
    return f"{head.rstrip('/')}/{relative}{chain}{rest}"


def _inside(location: str, name: str) -> str:
    """A name that a description gives, which may not lead out of its folder.

    Raises:
        DataError: it may.
    """
    if name in ("", ".", "..") or "/" in name or "\\" in name or "::" in name:
        raise DataError(f"{location}: names {name!r}, which is not a file beside it; save the data set again")
    return name


def _json(storage: Storage, location: str) -> dict[str, Any]:
    with storage.open(location) as file:
        try:
            value = json.loads(file.read(_MAX_BYTES))
        except (ValueError, RecursionError) as err:
            raise DataError(f"{location}: is not valid JSON; save the data set again") from err
    if not isinstance(value, dict):
        raise DataError(f"{location}: is not a JSON object; save the data set again")
    return value
