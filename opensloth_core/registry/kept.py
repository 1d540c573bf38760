"""Which versions stay when a new one is promoted, and which one a rollback goes to."""

from collections.abc import Sequence

from opensloth_core.errors import ConfigError, StoreError
from opensloth_core.registry.records import Version

_MAX_NAMED = 5


def check_keep(keep: int) -> None:
    """Refuse to keep nothing.

    Raises:
        ConfigError: `keep` is less than 1.
    """
    if keep < 1:
        raise ConfigError(f"keep {keep}: at least 1, since the current version stays")


def check_replaced(name: str, replacing: str | None, before: str | None) -> None:
    """Refuse to promote what was compared with a version that is not current any more.

    Raises:
        StoreError: it is not.
    """
    if replacing is not None and replacing != before:
        raise StoreError(
            f"model {name}: was compared with version {replacing}, but {before or 'none'} is current by now; "
            "compare it with that one"
        )


def beyond(versions: Sequence[tuple[str, str | None]], current: str | None, keep: int) -> list[str]:
    """Versions that need not be kept: all but the last `keep`, the current one and the one it replaced.

    Args:
        versions: their names, last promoted first, each with the version that it replaced.
    """
    names = [name for name, _ in versions]
    replaced = dict(versions).get(current) if current else None
    stay = {*names[:keep], current, replaced}
    return [name for name in names if name not in stay]


def rollback_target(name: str, versions: Sequence[Version], current: str | None, to: str | None) -> Version:
    """The version that a rollback goes to.

    Raises:
        ConfigError: there is none, it is the current one, or several begin so.
    """
    kept = {version.id: version for version in versions}
    if current is None or not kept:
        raise ConfigError(f"model {name}: nothing was ever promoted, so there is nothing to go back to")
    if to is None:
        before = kept[current].replaced if current in kept else None
        if before in kept:
            return kept[before]
        which = "was the first" if before is None else f"replaced {before}, which is not kept any more"
        raise ConfigError(f"model {name}: the current version {current} {which}; {_others(kept, current)}")
    found = [one for one in versions if one.id == to] or [one for one in versions if one.id.startswith(to)]
    if len(found) != 1 or not to:
        problem = f"{len(found)} versions begin so" if found else "no such version is kept"
        raise ConfigError(f"model {name}: {to or repr(to)}: {problem}; {_others(kept, current)}")
    if found[0].id == current:
        raise ConfigError(f"model {name}: {current} is the current version; {_others(kept, current)}")
    return found[0]


def _others(kept: dict[str, Version], current: str) -> str:
    others = [one for one in kept if one != current][:_MAX_NAMED]
    return f"others to go to: {', '.join(others)}" if others else "no other version is kept"
