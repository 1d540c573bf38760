"""What nobody will ever finish or look for: folders of killed processes, results of data that is gone."""

import contextlib
import os
import re
import shutil
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from opensloth_core.errors import StoreError
from opensloth_core.store.artifact import STAGING
from opensloth_core.store.file_lock import is_held, lock_file
from opensloth_core.store.home import home_dir

_BUILD_SECONDS = 6 * 3600
"""No model takes so long to build; its folder has no lock that would tell."""

_RESULT_SECONDS = 3600
"""A result this young may be that of data which is just being prepared."""

_LOCK_SUFFIX = ".lock"
_BUILDING = re.compile(r"\.(.+)-[0-9a-f]{32}")
_KEY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Leftover:
    """A file or folder that is of no use."""

    path: Path
    what: str
    size_bytes: int


def find_leftovers(prepared_keys: Collection[str]) -> list[Leftover]:
    """What killed processes and removed data left in this home.

    Args:
        prepared_keys: of all prepared data that is there.
    """
    home = home_dir()
    found: list[Leftover] = []
    for store in (home / "store" / "prepared", home / "store" / "tokens", home / "models"):
        found += _abandoned(store)
    found += _unfinished_models(home / "models")
    found += _results_without_data(prepared_keys)
    return found


def remove_leftovers(found: Sequence[Leftover]) -> None:
    """Remove what `find_leftovers` found; what has come to be used again since then stays.

    Raises:
        StoreError: the store cannot be written.
    """
    for leftover in found:
        try:
            if leftover.path.name.startswith(STAGING):
                _remove_staging(leftover.path)
            elif leftover.path.is_dir():
                shutil.rmtree(leftover.path)
            else:
                leftover.path.unlink(missing_ok=True)
        except FileNotFoundError:  # somebody else was faster
            continue
        except OSError as err:
            raise StoreError(
                f"{leftover.path}: cannot be removed: {err.strerror}; do it as a user who may write the store"
            ) from err


def forget_results(keys: Iterable[str]) -> None:
    """Remove Prefect's records and results of prepared data that is gone.

    One that cannot be removed does no harm, since the data of a result is looked for before it is used.
    """
    for key in keys:
        for folder in _result_folders():
            with contextlib.suppress(OSError):
                (folder / key).unlink(missing_ok=True)


def _abandoned(store: Path) -> Iterator[Leftover]:
    for name in sorted({path.name.removesuffix(_LOCK_SUFFIX) for path in store.glob(f"{STAGING}*")}):
        if not is_held(store / f"{name}{_LOCK_SUFFIX}"):
            yield Leftover(store / name, "begun by a process that was killed", _size(store / name))


def _unfinished_models(models: Path) -> Iterator[Leftover]:
    for path in sorted(models.glob(".*")):
        with contextlib.suppress(FileNotFoundError):
            is_old = path.stat().st_mtime < time.time() - _BUILD_SECONDS
            if is_old and path.is_dir() and _BUILDING.fullmatch(path.name):
                yield Leftover(path, "model begun by a process that was killed", _size(path))


def _results_without_data(prepared_keys: Collection[str]) -> Iterator[Leftover]:
    for folder in _result_folders():
        for path in sorted(folder.glob("*")):
            if not _KEY.fullmatch(path.name) or path.name in prepared_keys:
                continue
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                if status.st_mtime < time.time() - _RESULT_SECONDS:
                    yield Leftover(path, "result of data that is gone", status.st_size)


def _remove_staging(folder: Path) -> None:
    lock = folder.with_name(f"{folder.name}{_LOCK_SUFFIX}")
    descriptor = lock_file(lock, wait=False)
    if descriptor is None:
        return
    try:
        if folder.exists():
            shutil.rmtree(folder)
        lock.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _result_folders() -> tuple[Path, Path]:
    # Where `tasks.artifact_cache` has Prefect keep them.
    return home_dir() / "store" / "records", home_dir() / "store" / "results"


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0
