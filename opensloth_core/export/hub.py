"""A result on the Hugging Face hub."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from opensloth_core.errors import ConfigError, ModelError, StoreError
from opensloth_core.expanded import expanded
from opensloth_core.export.merged import Dtype, write_whole
from opensloth_core.export.result import Result, fetched
from opensloth_core.models.adapter import CONFIG_FILE, NOTE_FILE, read_adapter

if TYPE_CHECKING:
    from huggingface_hub import HfApi

What = Literal["adapter", "merged"]


def check_repo(repo: str) -> None:
    """Refuse what is no name of a repository.

    Raises:
        ConfigError: says what one looks like.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError as err:
        raise ConfigError(
            f"repo {repo}: no name of a repository; give user/name or organisation/name"
        ) from err
    if repo.count("/") != 1:
        raise ConfigError(f"repo {repo}: give user/name or organisation/name")


def push(
    result: Result,
    repo: str,
    what: What,
    private: bool,
    base: str | None,
    dtype: Dtype,
    say: Callable[[str], None],
    endpoint: str | None = None,
) -> str:
    """Upload a result as one commit, with the token of the environment or of a login. Gives its address.

    Args:
        repo: `user/name`; made if it is not there.
        what: the adapter alone, or the whole model.
        private: whether a repository that is made is private.
        base: see `fetched`.
        dtype: see `export_merged`.
        say: told before a step that takes long.
        endpoint: address of the hub, if not huggingface.co.

    Raises:
        ConfigError: there is no token, or it may not write there.
        ModelError: see `export_merged`; or an adapter whose base nobody else has.
        StoreError: the hub cannot be reached.
    """
    from huggingface_hub import HfApi, get_token

    check_repo(repo)
    api = HfApi(endpoint=endpoint)
    if get_token() is None:
        raise ConfigError(
            "to hub: no token; set HF_TOKEN to one that may write (huggingface.co/settings/tokens), or run "
            "`hf auth login`"
        )
    hub_base = _hub_base(result, base) if what == "adapter" and result.is_adapter else None
    # Before the merge, which may take long.
    with _refusals(api, repo):
        api.whoami()
    with tempfile.TemporaryDirectory(prefix="opensloth-hub-") as staging:
        folder = Path(staging) / "model"
        folder.mkdir()
        if hub_base is None:
            write_whole(fetched(result, base, say), folder, dtype, say)
        else:
            _write_adapter(result, hub_base, folder)
        say(f"uploading {sum(path.stat().st_size for path in folder.iterdir()) / 1e6:,.1f} MB to {repo}")
        with _refusals(api, repo):
            made = api.create_repo(repo, private=private, exist_ok=True)
            api.upload_folder(repo_id=repo, folder_path=folder, commit_message=f"Add {result.name}")
        return str(made)


def _hub_base(result: Result, base: str | None) -> str:
    """The base model of an adapter as others can find it."""
    base = base or read_adapter(result.folder).base
    if expanded(base).is_dir() or "/" not in base or base.startswith(("/", ".", "~")):
        raise ModelError(
            f"{result.folder}: its base model {base} is not on the hub, so nobody could use it alone; "
            "push the whole model with --what merged, or name the base on the hub with --model org/name"
        )
    return base


def _write_adapter(result: Result, base: str, folder: Path) -> None:
    """The adapter, with a base that others can find and without folders of this machine."""
    shutil.copytree(result.folder, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(NOTE_FILE))
    path = folder / CONFIG_FILE
    config = json.loads(path.read_text())
    local = str(config.get("base_model_name_or_path") or "")
    path.write_text(json.dumps(config | {"base_model_name_or_path": base}, indent=2) + "\n")
    card = folder / "README.md"
    if local and card.is_file():
        card.write_text(card.read_text().replace(local, base))


@contextmanager
def _refusals(api: "HfApi", repo: str) -> Iterator[None]:
    """What the hub refuses, in words that hold nothing of the token."""
    from httpx import HTTPError
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        yield
    except UnicodeEncodeError as err:
        raise ConfigError("to hub: the token has characters that no token has; set HF_TOKEN anew") from err
    except OfflineModeIsEnabled as err:
        raise ConfigError("to hub: HF_HUB_OFFLINE is set, so nothing can be pushed; unset it") from err
    except HfHubHTTPError as err:
        status = err.response.status_code
        if status in (401, 403):
            raise ConfigError(
                f"repo {repo}: the token may not write there (HTTP {status}); give a token with write access"
            ) from err
        raise StoreError(f"repo {repo}: the hub refused the upload: HTTP {status}; try again") from err
    except (HTTPError, OSError) as err:
        raise StoreError(
            f"repo {repo}: the hub at {api.endpoint} cannot be reached ({type(err).__name__}); try again"
        ) from err
