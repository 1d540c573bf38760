"""What is no longer as it was when data was prepared that a run trains on all the same."""

from collections.abc import Iterator, Mapping

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.read.fingerprint import input_digest
from opensloth_core.data.read.inputs import find_inputs
from opensloth_core.data.read.place import is_url
from opensloth_core.data.version import preparation_digest
from opensloth_core.errors import DataError
from opensloth_core.store.digest_memory import remembered_digest


def aging(config: DatasetPrepConfig, parts: Mapping[str, str]) -> Iterator[str]:
    """What has changed since, each in words: the sources on this machine, and what prepares data.

    Args:
        config: names the sources.
        parts: what the key of the prepared data is made of.
    """
    if not any(is_url(source) for source in config.data):
        yield from _sources(config, parts)
    now = preparation_digest()
    changed = [name for name in now if parts.get(name) != now[name]]
    if changed:
        yield f"the data was prepared with other versions of: {', '.join(changed)}; trained on as it is"


def _sources(config: DatasetPrepConfig, parts: Mapping[str, str]) -> Iterator[str]:
    try:
        digest = input_digest(find_inputs(config.data, config.split), file_digest=remembered_digest)
    except DataError as err:
        yield f"the sources of the data cannot be read any more ({err}); trained on as it was prepared"
        return
    if digest != parts["input"]:
        yield f"{config.data_title} has changed since it was prepared; trained on as it was prepared"
