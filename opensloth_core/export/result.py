"""The result that a person names: of a run, of a promoted model, or in a folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from opensloth_core.checks.weights import check_weights
from opensloth_core.errors import ModelError
from opensloth_core.expanded import expanded
from opensloth_core.models.adapter import is_adapter
from opensloth_core.models.fit import check_fit
from opensloth_core.models.locate import model_folder
from opensloth_core.models.start import StartFolders, find_start
from opensloth_core.models.tokenizer import tokenizer_folder
from opensloth_core.registry.current_link import CURRENT
from opensloth_core.registry.model_registry import open_registry
from opensloth_core.registry.names import is_name, local_models_root
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.find import run_that_trained
from opensloth_core.runs.named import LAST
from opensloth_core.runs.result import result_folder
from opensloth_core.store.home import home_dir


@dataclass(frozen=True)
class Result:
    """What training left: an adapter, or a whole model."""

    name: str
    """What files made of it are named after: the run's name, or the folder's."""

    folder: Path
    run: RunDirectory | None
    """The run it came from, where that is known."""

    @property
    def is_adapter(self) -> bool:
        return is_adapter(self.folder)


def find_result(which: str) -> Result:
    """The result that is meant.

    Args:
        which: a run, as `named_run` takes it, or "last" for the newest that trains; the name of a promoted
            model, whose current version is meant; or the folder of a run, an adapter or a model.

    Raises:
        ConfigError: nothing is called so, or several runs begin so.
        ModelError: the run has no result, or the folder holds none.
        StoreError: the place that promoted models are kept in cannot be read.
    """
    promoted = _promoted(which) if which != LAST and is_name(which) else None
    if promoted is not None:
        return Result(which, promoted, None)
    folder = expanded(which).absolute()
    if which != LAST and folder.is_dir() and not _is_run(folder):
        return _in_folder(folder)
    run = run_that_trained(which)
    return Result(run.path.name, result_folder(run.path), run)


def fetched(result: Result, base: str | None, say: Callable[[str], None]) -> StartFolders:
    """Where a result and the model that it belongs to are; a hub model is fetched.

    Args:
        base: the base model, where it is not where it was when the adapter was trained.
        say: told before a step that takes long.

    Raises:
        ModelError: the base is not there, its weights cannot be loaded, or the adapter does not fit it.
    """
    if not result.is_adapter:
        if base is not None:
            raise ModelError(f"{result.folder}: is a whole model, which has no base; drop --model {base}")
        check_weights(result.folder)
        return StartFolders(result.folder, result.folder, None, str(result.folder))
    start = find_start(str(result.folder)) if base is None else find_start(base, result.folder)
    assert start.adapter is not None, "the result is an adapter"
    model_dir = model_folder(start.model, say)
    check_weights(model_dir)
    check_fit(start.adapter, model_dir)
    return StartFolders(
        model_dir, tokenizer_folder(result.folder, model_dir), start.adapter.folder, start.model
    )


def _promoted(name: str) -> Path | None:
    """Folder of the current version of a model; None where no model is called so."""
    root = local_models_root()
    if root is not None:
        current = root / name / CURRENT
        return current.resolve() if current.is_dir() else None
    if (home_dir() / "runs" / name).is_dir():  # a remote store is not asked about a run
        return None
    registry = open_registry(name)
    version = registry.current()
    return None if version is None else registry.local_dir(version)


def _in_folder(folder: Path) -> Result:
    if not is_adapter(folder) and not (folder / "config.json").is_file():
        raise ModelError(
            f"{folder}: holds neither an adapter nor a model (no adapter_config.json and no config.json); "
            "give a run, the folder of a result, or last"
        )
    # In a run's folder every result is called the same.
    run = RunDirectory(folder.parent)
    if _is_run(run.path) and folder == run.adapter_dir:
        return Result(run.path.name, folder, run)
    return Result(folder.name, folder, None)


def _is_run(folder: Path) -> bool:
    return RunDirectory(folder).events_path.is_file() and RunDirectory(folder).config_path.is_file()
