"""From what the user calls a model to the folder it is in."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from opensloth_core.checks.roots import check_model_path, may_read_model
from opensloth_core.errors import ModelError
from opensloth_core.expanded import expanded
from opensloth_core.hub import is_hub_known
from opensloth_core.models.embedded import EMBEDDED, embedded_model_dir
from opensloth_core.registry.current_link import resolved
from opensloth_core.store.home import home_dir
from opensloth_core.store.tokenizer_files import TOKENIZER_FILES


def model_folder(model: str, say: Callable[[str], None] = lambda text: None, with_code: bool = False) -> Path:
    """Folder with the files of a model: "embedded", a local folder, or a hub id in the hub's cache.

    Builds the embedded model and fetches a hub model where that has not been done.

    Args:
        say: told before a step that takes long.
        with_code: fetch the Python files of a hub model too.

    Raises:
        ModelError: no such folder, a folder without a model, or a hub id that cannot be reached.
    """
    if model == EMBEDDED:
        return embedded_model_dir(home_dir(), say)
    return local_folder(model) or _hub_folder(model, say, with_code)


def local_folder(model: str) -> Path | None:
    """The folder a model's name means; None where it is "embedded" or may be a hub id.

    Raises:
        ModelError: it can only mean a folder, and that is not a model's.
    """
    if model == EMBEDDED:
        return None
    try:
        return _local_folder(model)
    except OSError as err:
        raise ModelError(f"{model}: cannot be read: {err.strerror}") from err


def _local_folder(model: str) -> Path | None:
    folder = resolved(expanded(model))
    only_a_folder = folder.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1
    if not only_a_folder and not may_read_model(folder):
        return None
    check_model_path(f"model {model}", folder)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelError(f"model {model}: not a model folder (it has no config.json)")
        return folder.absolute()
    if folder.exists():
        raise ModelError(f"model {model}: not a model folder but a file")
    if only_a_folder:
        raise ModelError(f"model {model}: no such model folder")
    return None


def check_model(model: str) -> None:
    """Refuse a model that is not there; of a hub model only its config.json is fetched.

    Raises:
        ModelError: no such folder, a folder without a model, or a hub id that cannot be reached.
    """
    if model != EMBEDDED and local_folder(model) is None:
        from huggingface_hub import hf_hub_download

        _from_hub(model, partial(hf_hub_download, model, "config.json"))


def fetch_tokenizer_files(model: str) -> None:
    """Have the configuration and the tokenizer of a hub model in the hub's cache, and no weights.

    Raises:
        ModelError: it cannot be reached.
    """
    from huggingface_hub import snapshot_download

    wanted = ["config.json", *TOKENIZER_FILES, "additional_chat_templates/*"]
    _from_hub(model, partial(snapshot_download, model, allow_patterns=wanted))


def _hub_folder(model: str, say: Callable[[str], None], with_code: bool) -> Path:
    from huggingface_hub import snapshot_download

    say(f"fetching {model} from the hub, unless it is in the hub's cache")
    unneeded = ["*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack", "*.gguf", "original/*"]
    if not with_code:
        unneeded.append("*.py")
    return Path(_from_hub(model, partial(snapshot_download, model, ignore_patterns=unneeded)))


def _meant(model: str) -> str:
    from difflib import get_close_matches

    if get_close_matches(model.lower(), [EMBEDDED]):
        return f'did you mean "{EMBEDDED}"?'
    return f'give a folder, a hub id such as org/name, or "{EMBEDDED}"'


def _from_hub(model: str, fetch: Callable[..., str]) -> str:
    from httpx import HTTPError
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return fetch(local_files_only=not is_hub_known())
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, HTTPError, OSError) as err:
        raise ModelError(
            f"model {model}: no such model folder, and not a hub model that can be reached "
            f"({type(err).__name__}); {_meant(model)}"
        ) from err
