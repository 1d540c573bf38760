"""From the sources a user names to the files that are read, in an order that only names decide."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import PurePosixPath

from opensloth_core.config.concealed import is_concealed, revealed
from opensloth_core.data.read.folder import folder_files, glob_files
from opensloth_core.data.read.hub import HubId, hub_input
from opensloth_core.data.read.input_file import InputFile
from opensloth_core.data.read.limits import check_size
from opensloth_core.data.read.names import has_glob
from opensloth_core.data.read.place import is_url, shown
from opensloth_core.data.read.reader import InputReader
from opensloth_core.data.read.sniff import sniffed
from opensloth_core.data.read.storage import Storage, storage_of
from opensloth_core.errors import DataError

__all__ = ["InputFile", "InputReader", "find_inputs"]

MAX_ARCHIVE_FILES = 1000

_REMOTE_OPENERS = 8


def find_inputs(sources: Sequence[str], split: str | None) -> list[InputFile]:
    """The files that hold the rows of `sources`, in the order of the sources and then of their names.

    Of a file only its first bytes are read, to learn its format. A source is

    - a file, or a URL of one;
    - a folder: the data files in it and below, without hidden files, README, LICENSE and empty files; or
      what `save_to_disk` wrote;
    - a glob such as `data/**/*.jsonl`, with the same exceptions;
    - an id of the hub, `org/name[:config][@revision]`, where no file has that name.

    Args:
        sources: as the user gives them.
        split: for folders, globs and hub ids; None means train where there are several splits.

    Raises:
        DataError: a source that is not there, cannot be read, holds no data, is in an unknown format or
            has no such split; a file that two sources name.
    """
    found: dict[str, str] = {}
    inputs = []
    for source in sources:
        source = _expanded(_whole(source))
        for file in _of_source(source, split):
            identity = _identity(file)
            if identity in found:
                by = "" if found[identity] == source else f" ({shown(found[identity])} and {shown(source)})"
                raise DataError(f"{shown(file.url)}: is named twice{by}; name each file once")
            found[identity] = source
            inputs.append(file)
    check_size(inputs)
    return inputs


def _of_source(source: str, split: str | None) -> list[InputFile]:
    storage = storage_of(source)
    kind = storage.kind(source)
    if kind == "file":
        if split is not None:
            raise DataError(f"{shown(source)}: is one file and has no split {split!r}; drop --split")
        return [sniffed(storage, source, _name(source))]
    if kind == "folder":
        return _sniffed(storage, source, folder_files(storage, source, split))
    if has_glob(source):
        return _sniffed(storage, source, glob_files(storage, source, split))
    if hub_id := HubId.parse(source):
        return [hub_input(source, hub_id, split)]
    hint = "" if is_url(source) or "/" in source or "." in source else "; a data set of the hub is org/name"
    raise DataError(f"{shown(source)}: no such file{hint}")


def _sniffed(storage: Storage, source: str, locations: Sequence[str]) -> list[InputFile]:
    # An archive's list of files is read again for each of them.
    if "::" in source and len(locations) > MAX_ARCHIVE_FILES:
        raise DataError(
            f"{shown(source)}: holds {len(locations):,} files, more than {MAX_ARCHIVE_FILES:,}; "
            "unpack it into a folder"
        )
    sniff = partial(_sniffed_one, storage)
    if len(locations) == 1 or not is_url(locations[0]):
        return [sniff(location) for location in locations]
    with ThreadPoolExecutor(_REMOTE_OPENERS) as pool:
        return list(pool.map(sniff, locations))


def _sniffed_one(storage: Storage, location: str) -> InputFile:
    return sniffed(storage, location, _name(location))


def _name(location: str) -> str:
    path = shown(location.partition("::")[0])
    return PurePosixPath(path).name


def _whole(source: str) -> str:
    whole = revealed(source)
    if is_concealed(whole):
        raise DataError(
            f"{source}: the password or signature that belongs to it is not kept with a run; "
            "give the URL anew"
        )
    return whole


def _expanded(source: str) -> str:
    """A local path without `~` and `file://`."""
    for prefix in ("file://", "local://"):
        if source.startswith(prefix) and "::" not in source:
            return source.removeprefix(prefix)
    return source if is_url(source) else os.path.expanduser(source)  # noqa: PTH111 (keeps ./ and //)


def _identity(file: InputFile) -> str:
    if file.format == "hub":
        return f"{file.url} {file.config} {file.split} {file.revision}"
    if is_url(file.url):
        # fsspec lists memory:///a where the user may write memory://a.
        return file.url.replace(":///", "://")
    return os.path.abspath(file.url)  # noqa: PTH100 (keeps links)
