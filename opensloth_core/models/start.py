"""What a run starts from: a model, or an adapter and the model it belongs to."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from opensloth_core.checks.remote_code import check_needs_no_code, check_trust
from opensloth_core.checks.roots import check_model_path, may_read_model
from opensloth_core.checks.target_modules import check_target_modules
from opensloth_core.checks.weights import check_weights
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError, ModelError
from opensloth_core.expanded import expanded
from opensloth_core.models.adapter import Adapter, is_adapter, read_adapter
from opensloth_core.models.embedded import EMBEDDED
from opensloth_core.models.fit import check_fit
from opensloth_core.models.locate import check_model, local_folder, model_folder
from opensloth_core.models.merged import check_mergeable, merged_model_dir
from opensloth_core.models.tokenizer import tokenizer_folder
from opensloth_core.registry.current_link import resolved
from opensloth_core.runs.directory import Launch
from opensloth_core.runs.result import result_folder

Say = Callable[[str], None]


@dataclass(frozen=True)
class Start:
    """What was asked for, before anything is fetched."""

    model: str
    """The base model: a folder, a hub id or "embedded"."""

    adapter: Adapter | None
    """The adapter on it, if any."""


@dataclass(frozen=True)
class StartFolders:
    """Where everything is that a run starts from."""

    model_dir: Path
    """The model whose weights are loaded; that with an adapter merged into it, where that was asked for."""

    tokenizer_dir: Path
    """Tokenizer and configuration, from which data is prepared."""

    adapter_dir: Path | None
    """The adapter that training goes on with; None for a new one."""

    base_model: str
    """What a saved adapter belongs to: a folder, a hub id or "embedded"."""

    @classmethod
    def for_data(cls, tokenizer_dir: Path) -> Self:
        """What data is prepared from; no model is loaded."""
        return cls(tokenizer_dir, tokenizer_dir, None, str(tokenizer_dir))

    def launch(self, devices: tuple[str, ...], prepared_key: str) -> Launch:
        """What the processes of a run are started with."""
        return Launch(
            model_dir=str(self.model_dir),
            devices=devices,
            prepared_key=prepared_key,
            adapter_dir=None if self.adapter_dir is None else str(self.adapter_dir),
            tokenizer_dir=str(self.tokenizer_dir),
            base_model=self.base_model,
        )


def find_start(model: str, pretrained_lora: Path | None = None) -> Start:
    """The base model and the adapter that are meant.

    Args:
        model: a model, an adapter's folder, or a run's, whose result is meant.
        pretrained_lora: an adapter's folder, or a run's.

    Raises:
        ModelError: an adapter or its base is not there, or two adapters are given.
    """
    folder = _folder(model)
    if folder is not None and is_adapter(folder):
        if pretrained_lora is not None:
            raise ModelError(
                f"{model}: is an adapter itself, and {pretrained_lora} another; give the base as --model and "
                "one adapter as --pretrained-lora"
            )
        check_model_path(f"model {model}", folder)
        adapter = read_adapter(folder)
        return Start(_base(adapter), adapter)
    # A name that can mean a folder only, and does not, is refused by whoever looks for the model.
    named = model if folder is None or folder == expanded(model).absolute() else str(folder)
    if pretrained_lora is None:
        return Start(named, None)
    check_model_path(f"pretrained_lora {pretrained_lora}", expanded(pretrained_lora))
    return Start(named, read_adapter(_result(pretrained_lora)))


def refuse_start(config: OpenSlothConfig) -> None:
    """Check all that can be known without fetching or writing anything.

    Raises:
        ModelError: model or adapter is not there, or they do not fit each other.
        ConfigError: a setting contradicts the adapter or has nothing to act on.
    """
    check_trust(config.trust_remote_code)
    start = find_start(config.model, config.pretrained_lora)
    if start.adapter is None and config.merge_lora:
        raise ConfigError(
            "merge_lora: there is no adapter to merge; give one as pretrained_lora or as model, or drop it"
        )
    check_model(start.model)
    _check_contents(config, local_folder(start.model))
    if start.adapter is None:
        return
    if not merges(config):
        _check_lora(config, start.adapter)
    folder = local_folder(start.model)
    if folder is not None:
        _check_pair(start.adapter, folder, merges(config))


def fetch_start(config: OpenSlothConfig, say: Say) -> StartFolders:
    """Find, fetch or build every folder that a run starts from.

    Args:
        say: told before a step that takes long, and what is worth knowing.

    Raises:
        ModelError: see `refuse_start`; or a hub model cannot be fetched.
        ConfigError: the model has no such layers as are to get an adapter.
        StoreError: a folder cannot be written.
    """
    start = find_start(config.model, config.pretrained_lora)
    model_dir = model_folder(start.model, say, config.trust_remote_code)
    _check_contents(config, model_dir)
    if start.adapter is None or merges(config):
        check_target_modules(config, model_dir)
    if start.adapter is None:
        return StartFolders(model_dir, model_dir, None, start.model)
    adapter = start.adapter
    _check_pair(adapter, model_dir, merges(config))
    if not _is_own_base(adapter, start.model, model_dir):
        own = adapter.base or "a model it does not name"
        say(
            f"warning: the adapter {adapter.folder} was trained on {own}, not on {start.model}; it fits, but "
            "may not mean the same there"
        )
    tokenizer_dir = tokenizer_folder(adapter.folder, model_dir)
    if not merges(config):
        return StartFolders(model_dir, tokenizer_dir, adapter.folder, start.model)
    merged_dir = merged_model_dir(model_dir, tokenizer_dir, adapter, say)
    return StartFolders(merged_dir, tokenizer_dir, None, str(merged_dir))


def fetch_tokenizer(model: str, say: Say = lambda text: None) -> Path:
    """The folder that data for a model is prepared from: tokenizer and configuration.

    Args:
        model: see `find_start`.

    Raises:
        ModelError: there is no such model, or a hub model cannot be fetched.
    """
    start = find_start(model)
    model_dir = model_folder(start.model, say)
    return model_dir if start.adapter is None else tokenizer_folder(start.adapter.folder, model_dir)


def merges(config: OpenSlothConfig) -> bool:
    """Whether an adapter that is given becomes part of the weights: all of them are trained, or a new one."""
    return config.merge_lora or config.finetuning_type == "full"


def _folder(model: str) -> Path | None:
    """The folder a name means, of a run that of its result; None where there is none of that name."""
    if model == EMBEDDED:
        return None
    if not may_read_model(expanded(model)):
        return None
    folder = _result(Path(model))
    return folder if folder.is_dir() else None


def _result(folder: Path) -> Path:
    try:
        # Once, so that a run knows which version it starts from.
        folder = resolved(expanded(folder).absolute())
        found = result_folder(folder)
        found.stat()
    except (FileNotFoundError, NotADirectoryError):
        return expanded(folder).absolute()
    except OSError as err:
        raise ModelError(f"{folder}: cannot be read: {err.strerror}") from err
    return found


def _base(adapter: Adapter) -> str:
    """The base model of an adapter, by the first of its names that can be followed."""
    names = [name for name in dict.fromkeys((adapter.base, adapter.base_dir)) if name]
    for name in names:
        if name == EMBEDDED or expanded(name).is_dir() or _may_be_hub_id(name):
            return name
    looked = f"there is no folder {' or '.join(names)}" if names else "the adapter does not name it"
    raise ModelError(
        f"{adapter.folder}: its base model is not here: {looked}; pass the base as --model and the "
        "adapter as --pretrained-lora"
    )


def _may_be_hub_id(name: str) -> bool:
    return not name.startswith((".", "~", "/")) and name.count("/") <= 1


def _is_own_base(adapter: Adapter, model: str, model_dir: Path) -> bool:
    if model in (adapter.base, adapter.base_dir):
        return True
    folders = (expanded(name) for name in (adapter.base, adapter.base_dir) if name)
    return any(folder.is_dir() and folder.samefile(model_dir) for folder in folders)


def _check_pair(adapter: Adapter, model_dir: Path, merge: bool) -> None:
    check_fit(adapter, model_dir)
    if merge:
        check_mergeable(adapter, model_dir)


def _check_contents(config: OpenSlothConfig, model_dir: Path | None) -> None:
    if model_dir is not None:
        check_weights(model_dir)
        check_needs_no_code(model_dir, config.trust_remote_code)


def _check_lora(config: OpenSlothConfig, adapter: Adapter) -> None:
    """Refuse settings of the adapter that is trained on, since it has its own."""
    for name in sorted(config.lora.model_fields_set):
        wanted, own = getattr(config.lora, name), adapter.settings[name]
        if isinstance(wanted, tuple):
            wanted = tuple(sorted(wanted))
        if wanted != own:
            raise ConfigError(
                f"{name} {_shown(wanted)}: contradicts the adapter {adapter.folder}, whose own is "
                f"{_shown(own)} and cannot change; drop it, or give merge_lora to train a new adapter on top"
            )


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
