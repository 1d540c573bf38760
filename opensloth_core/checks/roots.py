"""What runs that a server started may read and write: the places that the worker's owner opened.

Whoever can open the page of a Prefect server can start such a run, with any parameters. Its process and all
that it starts are confined. A run of the command line is not: its user has the rights of its process.

    reads data     $OPENSLOTH_HOME/data, the hub, and what OPENSLOTH_ROOTS lists
    reads models   $OPENSLOTH_HOME/models and runs, a folder that OPENSLOTH_MODELS names, the hub, and what
                   OPENSLOTH_ROOTS lists
    writes         $OPENSLOTH_HOME/outputs, and what OPENSLOTH_OUTPUT_ROOTS lists

Links and `..` are followed before anything is compared, and a file is compared again once it is open.
"""

import os
import re
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from opensloth_core.errors import ConfigError, DataError, ModelError, OpenSlothError
from opensloth_core.readme import DEPLOYMENTS, more_in_readme
from opensloth_core.registry.names import local_models_root
from opensloth_core.store.home import home_dir

CONFINED_VARIABLE = "OPENSLOTH_CONFINED"
ROOTS_VARIABLE = "OPENSLOTH_ROOTS"
OUTPUT_ROOTS_VARIABLE = "OPENSLOTH_OUTPUT_ROOTS"

_WORKER_VARIABLE = "PREFECT__FLOW_RUN_ID"
"""What a Prefect worker puts into the environment of the processes it starts."""

_RUN_NAME = re.compile(r"\w[\w.-]*")

_HUB = "hf://"
_SEPARATOR = re.compile(r":(?=/(?!/)|[A-Za-z][A-Za-z0-9+.-]*://|$)")
"""A colon between two places, rather than one of `s3://` or of a port."""


def is_confined() -> bool:
    """Whether this process works for a run that a server started."""
    return bool(os.environ.get(CONFINED_VARIABLE) or os.environ.get(_WORKER_VARIABLE))


def confine() -> None:
    """Confine this process and all that it starts from now on."""
    os.environ[CONFINED_VARIABLE] = "1"


def check_data_path(location: str) -> None:
    """Refuse a local path that was not opened.

    Raises:
        DataError: it leads to where this run may not read; nothing is said of what is there.
    """
    if is_confined() and not _is_inside(Path(location), _data_roots()):
        raise _refused(DataError, f"data {location}", _data_roots(), ROOTS_VARIABLE)


def check_data_pattern(pattern: str, base: str) -> None:
    """Refuse a glob that begins outside of what was opened, or may leave it.

    Raises:
        DataError: see `check_data_path`.
    """
    if not is_confined():
        return
    if ".." in Path(pattern).parts:
        raise DataError(f"data {pattern}: give a pattern without ..")
    check_data_path(base or ".")


def check_opened(file: BinaryIO, location: str) -> None:
    """Refuse an open file that is not where it was looked for: a link may have changed since.

    Raises:
        DataError: see `check_data_path`.
    """
    if not is_confined():
        return
    link = Path(f"/proc/self/fd/{file.fileno()}")
    if not _is_inside(link if link.exists() else Path(location), _data_roots()):
        file.close()
        raise _refused(DataError, f"data {location}", _data_roots(), ROOTS_VARIABLE)


def check_data_url(url: str, shown: str) -> None:
    """Refuse a URL that does not begin with an opened one.

    Args:
        shown: the URL as messages may show it.

    Raises:
        DataError: it does not, or is a chain of URLs.
    """
    if is_confined() and not any(_begins_with(url, opened) for opened in [_HUB, *_roots(ROOTS_VARIABLE)[1]]):
        raise _refused(DataError, f"data {shown}", _data_roots(), ROOTS_VARIABLE)


def check_model_path(name: str, folder: Path) -> None:
    """Refuse a folder of a model or an adapter that was not opened, or has a file that was not.

    Raises:
        ModelError: it or one of its files leads to where this run may not read.
    """
    if not is_confined():
        return
    roots = _model_roots()
    if not _is_inside(folder, roots):
        raise _refused(ModelError, name, roots, ROOTS_VARIABLE)
    for parent, folders, files in os.walk(folder):
        for entry in (*folders, *files):
            path = Path(parent, entry)
            if path.is_symlink() and not _is_inside(path, roots):
                raise _refused(ModelError, f"{name}: its {path.relative_to(folder)}", roots, ROOTS_VARIABLE)


def may_read_model(folder: Path) -> bool:
    """Whether a path can mean a model's folder here, rather than the name of one on the hub."""
    return not is_confined() or _is_inside(folder, _model_roots())


def may_read_data(location: str) -> bool:
    """Whether a path can mean data here, rather than the name of a data set on the hub."""
    return not is_confined() or _is_inside(Path(location), _data_roots())


def check_output_path(name: str, folder: Path) -> None:
    """Refuse to write outside of what was opened for that.

    Raises:
        ConfigError: the folder leads to where this run may not write.
    """
    roots = [home_dir() / "outputs", *_roots(OUTPUT_ROOTS_VARIABLE)[0]]
    if is_confined() and not _is_inside(folder, roots):
        raise _refused(ConfigError, f"{name} {folder}", roots, OUTPUT_ROOTS_VARIABLE)


def is_run_name(name: str) -> bool:
    """Whether a text can only mean a run of this home, by its name, and no other folder."""
    return bool(_RUN_NAME.fullmatch(name))


def _data_roots() -> list[Path]:
    return [home_dir() / "data", *_roots(ROOTS_VARIABLE)[0]]


def _model_roots() -> list[Path]:
    promoted = local_models_root()
    own = [home_dir() / "models", home_dir() / "runs", *([promoted] if promoted else [])]
    return list(dict.fromkeys([*own, *_roots(ROOTS_VARIABLE)[0]]))


def _roots(variable: str) -> tuple[list[Path], list[str]]:
    """The folders and the beginnings of URLs that a variable lists.

    Raises:
        ConfigError: an entry is neither.
    """
    folders, urls = [], []
    for entry in filter(None, _SEPARATOR.split(os.environ.get(variable, ""))):
        if "://" in entry and not entry.startswith("file://"):
            urls.append(entry)
            continue
        folder = Path(entry.removeprefix("file://"))
        if not folder.is_absolute():
            raise ConfigError(f"{variable} {entry}: list absolute folders or URLs, separated by colons")
        folders.append(folder)
    return folders, urls


def _is_inside(path: Path, roots: list[Path]) -> bool:
    try:
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(os.path.realpath(root)) for root in roots)
    except (OSError, ValueError):  # a loop of links, a null byte
        return False


def _begins_with(url: str, opened: str) -> bool:
    if "::" in url or "\\" in url or not url.isprintable():
        return False
    # A server may unpack the path once more than we do.
    path = unquote(unquote(urlsplit(url).path))
    if ".." in path.split("/") or "\\" in path:
        return False
    rest = url.removeprefix(opened)
    if rest == url:
        return False
    ends = ("/", "?") if url.startswith(("http://", "https://")) else ("/",)
    return opened.endswith("/") or rest == "" or rest.startswith(ends)


def _refused(error: type[OpenSlothError], what: str, roots: list[Path], variable: str) -> OpenSlothError:
    verb = "write to" if variable == OUTPUT_ROOTS_VARIABLE else "read"
    flag = "--output-root" if variable == OUTPUT_ROOTS_VARIABLE else "--root"
    return error(
        f"{what}: leads outside of what runs of this server may {verb}: {', '.join(map(str, roots))}. "
        f"Who runs the worker opens more with {variable}=/folder:/another in its environment, "
        f"or by os-train server start {flag} /folder{more_in_readme('What such runs may do', DEPLOYMENTS)}"
    )
