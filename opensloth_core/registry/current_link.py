"""The link to the current version of a model in a folder, as readers see it."""

from pathlib import Path

from opensloth_core.registry.names import is_id

CURRENT = "current"
VERSIONS = "versions"


def resolved(folder: Path) -> Path:
    """A path in which the link to a model's current version is followed; any other path as it is.

    Whoever goes on with the answer works with one version, whatever is promoted meanwhile.

    Args:
        folder: such as `$OPENSLOTH_HOME/models/support-bot/current`.
    """
    if folder.name != CURRENT or not folder.is_symlink():
        return folder
    target = folder.readlink()
    return folder if version_of(target) is None else folder.parent / target


def version_of(target: Path) -> str | None:
    """The version that a link of a model leads to; None where it leads elsewhere."""
    return target.name if target.parent == Path(VERSIONS) and is_id(target.name) else None
