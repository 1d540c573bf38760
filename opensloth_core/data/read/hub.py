"""Data sets of the Hugging Face hub: their ids, and the commit an id means."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from opensloth_core.data.read.input_file import InputFile
from opensloth_core.data.read.names import is_data_name
from opensloth_core.data.read.place import one_line, shown
from opensloth_core.data.read.splits import choose_split
from opensloth_core.errors import DataError
from opensloth_core.hub import is_hub_known

_ID = re.compile(r"(?P<repo>[\w][\w.-]*/[\w][\w.-]*)(?::(?P<config>[^:@/]+))?(?:@(?P<revision>[^:@]+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TIMEOUT_SECONDS = 10

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HubId:
    """`repo[:config][@revision]`, such as `org/name:main@refs/convert/parquet`."""

    repo: str
    config: str | None = None
    revision: str | None = None

    @classmethod
    def parse(cls, source: str) -> "HubId | None":
        """The id that a source is; None where it can only be a file's name."""
        match = _ID.fullmatch(source)
        if match is None or is_data_name(match["repo"]):
            return None
        return cls(match["repo"], match["config"], match["revision"])


def hub_input(source: str, hub_id: HubId, asked_split: str | None) -> InputFile:
    """The split of a data set, at the commit its revision means now.

    Raises:
        DataError: no such data set, configuration or split, or the hub cannot be asked.
    """
    commit = _commit(source, hub_id)
    from datasets import get_dataset_config_names, get_dataset_split_names, load_dataset_builder

    repo = hub_id.repo
    configs = _asked(source, partial(get_dataset_config_names, repo, revision=commit))
    config = _config(source, configs, hub_id.config)
    builder = _asked(source, partial(load_dataset_builder, repo, config, revision=commit))
    _check_own_files(source, repo, builder)
    splits = _asked(source, partial(get_dataset_split_names, repo, config, revision=commit))
    split = choose_split(source, splits, asked_split)
    return InputFile(repo, repo.split("/")[1], "hub", config=config, revision=commit, split=split)


def _check_own_files(source: str, repo: str, builder: Any) -> None:
    """A data set's README may name any file as its data, one of this machine too.

    Raises:
        DataError: it names a file that is not its own.
    """
    for files in (getattr(builder.config, "data_files", None) or {}).values():
        for file in files:
            if "://" in file and not file.startswith((f"hf://datasets/{repo}@", f"hf://datasets/{repo}/")):
                raise DataError(f"{source}: names a file that is not its own as its data: {shown(file)}")
            if "://" not in file or ".." in file.split("/"):
                raise DataError(f"{source}: names a file of this machine as its data: {shown(file)}")


def load_hub_data(file: InputFile) -> Any:
    """The split as a `datasets.Dataset`, fetched unless it is in the cache.

    Raises:
        DataError: it cannot be fetched or made.
    """
    from datasets import load_dataset

    load = partial(load_dataset, file.url, file.config, revision=file.revision, split=file.split)
    with _without_progress_bars():
        return _asked(file.url, load)


def hub_fingerprint(file: InputFile) -> str:
    """The commit, configuration and split: what decides the rows."""
    return f"{file.revision} {file.config} {file.split}"


def _commit(source: str, hub_id: HubId) -> str:
    if hub_id.revision and _COMMIT.fullmatch(hub_id.revision):
        return hub_id.revision
    from huggingface_hub import HfApi
    from huggingface_hub.constants import HF_HUB_OFFLINE

    if HF_HUB_OFFLINE or not is_hub_known():
        if commit := _cached_commit(hub_id):
            return commit
        raise DataError(
            f"{source}: no such file or folder, and the hub, which may have a data set of that name, "
            f"cannot be reached"
        )
    info = _asked(
        source,
        partial(HfApi().dataset_info, hub_id.repo, revision=hub_id.revision, timeout=_TIMEOUT_SECONDS),
    )
    if not info.sha:
        raise DataError(f"{source}: the hub does not say at which commit the data set is")
    return str(info.sha)


def _cached_commit(hub_id: HubId) -> str | None:
    """The commit that the revision meant when the hub was last asked."""
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = f"datasets--{hub_id.repo.replace('/', '--')}"
    reference = Path(HF_HUB_CACHE, folder, "refs", hub_id.revision or "main")
    try:
        commit = reference.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return commit if _COMMIT.fullmatch(commit) else None


def _config(source: str, configs: Sequence[str], asked: str | None) -> str:
    if asked in configs or (asked is None and len(configs) == 1):
        return asked or configs[0]
    if asked is None and "default" in configs:
        return "default"
    problem = f"has no configuration {asked!r}" if asked else "has several configurations"
    repo = source.split(":")[0].split("@")[0]
    raise DataError(f"{source}: {problem}; name one of {', '.join(configs)}, as in {repo}:{configs[0]}")


def _asked(source: str, ask: Callable[[], T]) -> T:
    """What the hub answers.

    `datasets` runs code of many libraries, each with errors of its own, so every exception is taken.

    Raises:
        DataError: it does not answer, or not with what was asked for.
    """
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    try:
        return ask()
    except RepositoryNotFoundError as err:
        raise DataError(
            f"{source}: no such file or folder, and no data set of that name on the hub, "
            f"or it is private (hf auth login)"
        ) from err
    except RevisionNotFoundError as err:
        raise DataError(f"{source}: the data set has no such revision") from err
    except Exception as err:
        raise DataError(
            f"{source}: no such file or folder, and the hub's data set of that name cannot be read "
            f"({type(err).__name__}: {one_line(err)})"
        ) from err


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    """Keep the bars of `datasets` out of the run's own display."""
    from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    were_disabled = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not were_disabled:
            enable_progress_bars()
