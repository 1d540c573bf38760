"""Which models have promoted versions."""

from opensloth_core.data.read.place import shown
from opensloth_core.errors import ConfigError, StoreError
from opensloth_core.registry.current_link import CURRENT, VERSIONS
from opensloth_core.registry.model_registry import Registry, Say, open_registry
from opensloth_core.registry.names import is_name, local_models_root, models_root
from opensloth_core.registry.records import Version

_MAX_NAMED = 5


def model_names() -> list[str]:
    """Names of the models that have a current version, sorted.

    Raises:
        StoreError: the place cannot be read.
    """
    folder = local_models_root()
    if folder is None:
        from opensloth_core.registry.remote_place import ModelObjects
        from opensloth_core.registry.remote_pointer import POINTER

        paths = [path.split("/") for path in ModelObjects(models_root()).listing("")]
        return sorted({parts[0] for parts in paths if parts[1:] == [POINTER] and is_name(parts[0])})
    try:
        return sorted(
            path.name
            for path in folder.iterdir()
            if is_name(path.name) and (path / CURRENT).is_symlink() and (path / VERSIONS).is_dir()
        )
    except FileNotFoundError:
        return []
    except OSError as err:
        raise StoreError(f"{folder}: cannot be read: {err.strerror}") from err


def existing_registry(name: str, say: Say = lambda text: None) -> Registry:
    """The versions of a model that has some.

    Raises:
        ConfigError: there is no such model.
        StoreError: the place cannot be read.
    """
    registry = open_registry(name, say=say)
    if registry.current() is None:
        names = model_names()
        known = ", ".join(names[:_MAX_NAMED]) + (", …" if len(names) > _MAX_NAMED else "")
        raise ConfigError(
            f"{name}: no such model in {shown(models_root())} "
            f"({f'there: {known}' if known else 'nothing was promoted yet'}); promote a run: "
            f"os-train models promote {name} RUN"
        )
    return registry


def find_version(registry: Registry, called: str | None) -> Version:
    """A version of a model by its name or how that begins; the current one when not given.

    Raises:
        ConfigError: no version that is kept is called so, or several begin so.
        StoreError: the place cannot be read.
    """
    if called is None:
        current = registry.current()
        if current is None:
            raise ConfigError(f"model {registry.name}: nothing was promoted yet")
        return current
    kept = registry.versions()
    found = [one for one in kept if one.id == called] or [one for one in kept if one.id.startswith(called)]
    if len(found) != 1 or not called:
        problem = f"{len(found)} versions begin so" if found else "no such version is kept"
        raise ConfigError(
            f"model {registry.name}: {called or repr(called)}: {problem}; kept: "
            f"{', '.join(one.id for one in kept)}"
        )
    return found[0]
