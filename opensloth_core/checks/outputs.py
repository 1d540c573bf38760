"""Whether the folders that a run writes to can be written: its home, and those results are exported to."""

import os
import tempfile
from pathlib import Path

from opensloth_core.checks.roots import check_output_path
from opensloth_core.doctor.places import nearest_folder
from opensloth_core.errors import ConfigError
from opensloth_core.expanded import expanded
from opensloth_core.store.home import home_dir


def check_home() -> None:
    """Refuse a home in which no runs and no data can be kept; leaves nothing behind.

    Raises:
        ConfigError: it is no folder, or cannot be written.
    """
    home = home_dir()
    for place in dict.fromkeys(nearest_folder(path) for path in (home, home / "runs", home / "store")):
        try:
            _try_to_write(place)
        except OSError as err:
            raise ConfigError(
                f"OPENSLOTH_HOME {home}: cannot write to {place}: {err.strerror}; set it to a folder you can "
                "write"
            ) from err


def check_output(name: str, folder: Path) -> None:
    """Refuse an output folder that holds something or cannot be written; leaves nothing behind.

    Raises:
        ConfigError: why it cannot be had.
    """
    folder = expanded(folder)
    if str(folder).startswith("~"):
        raise ConfigError(
            f"{name} {folder}: there is no user {folder.parts[0][1:]}; give the folder's whole path"
        )
    check_output_path(name, folder)
    try:
        _check_output(name, folder)
    except OSError as err:
        raise ConfigError(f"{name} {folder}: cannot be read: {err.strerror}") from err


def check_apart(output: Path | None, data_output: Path | None) -> None:
    """Each export fills a new folder, so the data, which comes first, may not be put into the other's.

    Raises:
        ConfigError: the data's folder is the other's or lies in it.
    """
    if output is None or data_output is None:
        return
    data_folder = data_output.resolve()
    if output.resolve() in (data_folder, *data_folder.parents):
        raise ConfigError(
            f"data_output {data_output}: is the folder of output {output} or lies in it; give two apart"
        )


def _check_output(name: str, folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{name} {folder}: exists and is not a folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(f"{name} {folder}: the folder is not empty; give a new or empty one")
    if os.path.ismount(folder):
        raise ConfigError(
            f"{name} {folder}: is a mount point, which cannot be replaced; give a new folder in it"
        )
    # A copy is made beside the folder and renamed into its place.
    for place in (folder.absolute(), folder.absolute().parent):
        _check_writable(name, folder, place)


def _check_writable(name: str, folder: Path, base: Path) -> None:
    while not base.exists():
        base = base.parent
    try:
        # The superuser may write into what others protected; a folder nobody may write is meant so.
        if not base.stat().st_mode & 0o222:
            raise PermissionError(13, "it is read-only")
        _try_to_write(base)
    except OSError as err:
        raise ConfigError(f"{name} {folder}: cannot write to {base}: {err.strerror}") from err


def _try_to_write(folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".opensloth-", dir=folder):
        pass
