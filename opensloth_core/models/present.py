"""What of a model is on this machine already; nothing is fetched, built or written here."""

from pathlib import Path

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.models.embedded import EMBEDDED, embedded_target
from opensloth_core.models.locate import local_folder
from opensloth_core.models.start import Start, find_start, merges
from opensloth_core.models.tokenizer import VOCABULARY_FILES, tokenizer_paths
from opensloth_core.store.home import home_dir


def present_folder(model: str) -> Path | None:
    """The folder of a model with what is there of it, at least its config.json; None where nothing is.

    Raises:
        ModelError: a name that can only mean a folder, and no model's.
    """
    if model == EMBEDDED:
        target = embedded_target(home_dir())
        return target if target.is_dir() else None
    return local_folder(model) or _in_hub_cache(model)


def present_tokenizer(start: Start) -> Path | None:
    """The folder that data is prepared from, where it is there; None where a run has to fetch or make it."""
    folder = present_folder(start.model)
    if folder is None or not has_tokenizer(folder):
        return None
    if start.adapter is None or not has_tokenizer(start.adapter.folder):
        return folder
    # Another tokenizer than the model's is put beside the model's configuration when a run begins.
    return folder if _contents(start.adapter.folder) == _contents(folder) else None


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder has a file that a tokenizer can be loaded from."""
    return any((folder / name).is_file() for name in VOCABULARY_FILES)


def has_weights(folder: Path) -> bool:
    """Whether a folder has a file with weights."""
    return any(folder.glob("*.safetensors"))


def with_settings_of_adapter(config: OpenSlothConfig) -> OpenSlothConfig:
    """The configuration with the adapter's own rank and layers, where one goes on training.

    Raises:
        ModelError: the adapter cannot be read.
    """
    start = find_start(config.model, config.pretrained_lora)
    if start.adapter is None or merges(config):
        return config
    own = start.adapter.settings
    update = {"lora_rank": own["lora_rank"]}
    if isinstance(own["target_modules"], tuple):
        update["target_modules"] = own["target_modules"]
    return config.model_copy(update={"lora": config.lora.model_copy(update=update)})


def continues_adapter(config: OpenSlothConfig) -> bool:
    """Whether an adapter that was trained before goes on.

    Raises:
        ModelError: the adapter cannot be read.
    """
    return find_start(config.model, config.pretrained_lora).adapter is not None and not merges(config)


def _in_hub_cache(model: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(model, "config.json")
    except ValueError:  # no id of the hub
        return None
    return Path(found).parent if isinstance(found, str) else None


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in tokenizer_paths(folder)}
