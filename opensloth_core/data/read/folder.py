"""The data files of a folder or a glob, in an order that does not depend on the file system."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import PurePosixPath

from opensloth_core.data.read.names import is_data_name, up_to_glob
from opensloth_core.data.read.place import is_url, shown
from opensloth_core.data.read.saved_dataset import is_saved, joined, saved_files, saved_split, saved_splits
from opensloth_core.data.read.splits import choose_split, files_of_split
from opensloth_core.data.read.storage import Storage
from opensloth_core.errors import DataError


def folder_files(storage: Storage, folder: str, split: str | None) -> list[str]:
    """Locations of the data files of a folder that belong to a split.

    Raises:
        DataError: it holds no data, or no such split.
    """
    place = shown(folder)
    if splits := saved_splits(storage, folder):
        folder = joined(folder, choose_split(place, splits, split))
        return [joined(folder, name) for name in saved_files(storage, folder)]
    files = storage.files_under(folder)
    if is_saved({relative for relative in files if "/" not in relative}):
        if split is not None and split != saved_split(storage, folder):
            raise DataError(f"{place}: is one saved data set and has no split {split!r}; drop --split")
        return [joined(folder, name) for name in saved_files(storage, folder)]
    data = _data_files(storage, folder, files)
    if not data:
        raise DataError(
            f"{place}: is a folder without data files; their names end in .json, .jsonl, .csv, .tsv, .txt, "
            f".parquet or .arrow, perhaps followed by .gz, .zst, .xz or .bz2"
        )
    return _of_split(storage, place, data, split)


def glob_files(storage: Storage, pattern: str, split: str | None) -> list[str]:
    """Locations of the data files that a glob matches; folders only count where it matches no file.

    Raises:
        DataError: it matches nothing that holds data, or no such split.
    """
    place = shown(pattern)
    kinds = {location: storage.kind(location) for location in storage.matches(pattern)}
    base = up_to_glob(pattern)
    files = {_relative(location, base): location for location, kind in kinds.items() if kind == "file"}
    if not files:
        folders = sorted(location for location, kind in kinds.items() if kind == "folder")
        if not folders:
            raise DataError(f"{place}: matches no file")
        return [file for folder in folders for file in folder_files(storage, folder, split)]
    data = {relative: location for relative, location in files.items() if is_data_name(relative)}
    # Names such as part-00000 say nothing; what is in them will.
    return _of_split(storage, place, data or _not_hidden(files) or files, split)


def _of_split(storage: Storage, place: str, files: Mapping[str, str], split: str | None) -> list[str]:
    relatives = sorted(files, key=lambda relative: PurePosixPath(relative).parts)
    chosen = [files[relative] for relative in files_of_split(place, relatives, split)]
    # Tools that write in parts leave parts without rows; where all are, reading one says so.
    return [location for location in chosen if _holds_bytes(storage, location)] or chosen[:1]


def _holds_bytes(storage: Storage, location: str) -> bool:
    # Where a storage does not say, the file must be opened to know.
    return is_url(location) or storage.size_bytes(location) > 0


def _data_files(storage: Storage, folder: str, files: Mapping[str, str]) -> dict[str, str]:
    """The data files below a folder, where that may hold saved data sets."""
    by_parent: dict[str, set[str]] = defaultdict(set)
    for relative in files:
        parent, _, name = relative.rpartition("/")
        by_parent[parent].add(name)
    saved = {
        parent: set(saved_files(storage, joined(folder, parent)))
        for parent, names in by_parent.items()
        if is_saved(names)
    }
    data = {}
    for relative, location in files.items():
        parent, _, name = relative.rpartition("/")
        if is_data_name(relative) and name in saved.get(parent, {name}):
            data[relative] = location
    return data


def _not_hidden(files: Mapping[str, str]) -> dict[str, str]:
    return {relative: location for relative, location in files.items() if not relative.startswith(".")}


def _relative(location: str, base: str) -> str:
    return location.partition("::")[0].removeprefix(base)
