"""What is not submitted to a server."""

from opensloth_core.config.concealed import is_concealed
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.read.hub import HubId
from opensloth_core.data.read.inputs import find_inputs
from opensloth_core.data.read.place import is_url
from opensloth_core.errors import ConfigError
from opensloth_core.expanded import expanded
from opensloth_core.runs.absolute_paths import GLOB


def refuse_secrets(config: DatasetPrepConfig) -> None:
    """Refuse what the server would keep and show.

    Raises:
        ConfigError: a URL with a password or a signature.
    """
    for source in config.data:
        if is_concealed(source):
            raise ConfigError(
                f"data {source}: holds a password or a signature, and a server keeps and shows the parameters"
                " of its runs; give the credentials to the worker's environment, or run without --remote"
            )


def refuse_missing(config: DatasetPrepConfig) -> None:
    """Say of data that is not there just that, before anything is said of where it may be.

    Raises:
        DataError: neither a file nor a folder, nor what could be the name of a data set of the hub.
    """
    names = [one for one in config.data if not is_url(one) and not GLOB & set(one)]
    missing = [one for one in names if HubId.parse(one) is None and not expanded(one).exists()]
    if missing:
        find_inputs(missing[:1], None)
