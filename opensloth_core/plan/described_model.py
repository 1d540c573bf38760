"""The tokenizer and the configuration that a run would have, before its model is fetched or built."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.models.embedded import EMBEDDED, embedded_target, write_embedded_tokenizer
from opensloth_core.models.locate import fetch_tokenizer_files, local_folder
from opensloth_core.models.present import has_tokenizer, present_folder, present_tokenizer
from opensloth_core.models.start import find_start
from opensloth_core.models.tokenizer import copy_tokenizer
from opensloth_core.store.home import home_dir


@contextmanager
def described_model(
    config: OpenSlothConfig, say: Callable[[str], None]
) -> Iterator[tuple[OpenSlothConfig, Path | None]]:
    """The configuration with a model whose config.json is here, and the folder that data is prepared from.

    That folder is None where it cannot be had yet. What is made for this goes again; what is fetched from
    the hub, no weights, stays in its cache.

    Args:
        say: told before a step that takes long.

    Raises:
        ModelError: there is no such model.
        ConfigError: the packages of the embedded model are not installed.
    """
    start = find_start(config.model, config.pretrained_lora)
    base, adapter = present_folder(start.model), start.adapter
    if base is None and start.model == EMBEDDED and adapter is None:
        # Families are told by the folder's name.
        with _temporary(embedded_target(home_dir()).name) as folder:
            say(f"reading the tokenizer of {folder.name} from its package")
            write_embedded_tokenizer(folder)
            yield config.model_copy(update={"model": str(folder)}), folder
        return
    if start.model != EMBEDDED and local_folder(start.model) is None and not (base and has_tokenizer(base)):
        say(f"fetching the tokenizer of {start.model} from the hub")
        fetch_tokenizer_files(start.model)
        base = present_folder(start.model)
    tokenizer = present_tokenizer(start)
    if tokenizer is not None or base is None or adapter is None or not has_tokenizer(adapter.folder):
        yield config, tokenizer
        return
    with _temporary(base.name) as folder:
        copy_tokenizer(adapter.folder, folder)
        shutil.copyfile(base / "config.json", folder / "config.json")
        yield config, folder


@contextmanager
def _temporary(name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="opensloth-plan-") as parent:
        folder = Path(parent, name)
        folder.mkdir()
        yield folder
