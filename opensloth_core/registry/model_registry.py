"""Models under a name, each with versions of which one is current; kept in a folder or a remote store.

    registry = open_registry("support-bot")
    with registry.lock():
        registry.promote(adapter_dir, record, keep=3)
    registry.local_dir(registry.current())

A reader sees one version or another, never a mix: a version is complete before anything names it, it is never
changed, and what names it changes in one step (`local_registry`, `remote_registry`).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from opensloth_core.data.read.place import is_url
from opensloth_core.expanded import expanded
from opensloth_core.registry.names import check_name, models_root
from opensloth_core.registry.records import PromotionRecord, Version
from opensloth_core.store.remote.lease import TIMING, Timing

Say = Callable[[str], None]


class Registry(Protocol):
    """The versions of one model.

    Every method raises StoreError where the place cannot be read or written.
    """

    name: str
    location: str
    """Folder or URL of the model."""

    def current(self) -> Version | None:
        """The version that readers use; None where nothing was ever promoted."""

    def versions(self) -> list[Version]:
        """The versions that are kept, last promoted first."""

    def promote(
        self, adapter_dir: Path, record: PromotionRecord, keep: int, replacing: str | None = None
    ) -> Version:
        """Copy an adapter or a whole model into a new version, and make that the current one.

        Versions beyond the last `keep` are removed then, but never the current one, the one that a rollback
        goes to, or one that is held or that a run works with. A process that is killed at any moment leaves
        the current version as it was, and its files to be removed by the next promotion.

        Args:
            adapter_dir: is copied; files of whole models in this home's runs are linked.
            keep: at least 1, the current one among them.
            replacing: the version that has to be current still, since the new one was compared with it.

        Raises:
            ModelError: the folder holds no whole adapter or model.
            ConfigError: `keep` is less than 1, or another process works on this model (see `lock`).
            StoreError: another version is current by now than `replacing`; nothing has changed then.
        """

    def rollback(self, to: str | None = None) -> Version:
        """Make an earlier version the current one again; waits for nobody's `lock`.

        Args:
            to: its name, or how that begins; the one that was current before when not given.

        Raises:
            ConfigError: there is none.
        """

    def local_dir(self, version: Version) -> Path:
        """A folder on this machine with the files of a version: its own, or a verified copy.

        Raises:
            StoreError: it was removed meanwhile, or is damaged.
        """

    def hold(self, version: Version) -> AbstractContextManager[Path]:
        """`local_dir`, which stays on this machine while the `with` block runs, whatever is promoted."""

    def judged(self) -> PromotionRecord | None:
        """How the last model was judged, promoted or refused; None where none ever was."""

    def judgements(self) -> list[PromotionRecord]:
        """How models were judged that are not in use, the newest first: those that were noted, and those that
        a rollback went back from, also where their versions are gone; the last hundred.
        """

    def note_judged(self, record: PromotionRecord) -> None:
        """Remember a judgement; a promotion is one without being noted."""

    def lock(self) -> AbstractContextManager[None]:
        """At most one process makes new versions of this model, on all machines that share the place.

        Raises:
            ConfigError: another one does; the message says who.
        """

    def remove(self, version: Version) -> None:
        """Remove a version.

        Raises:
            ConfigError: it is current, held, or a run works with it.
        """

    def remove_all(self) -> None:
        """Remove the model with all its versions; for readers there is none from the first moment on.

        Raises:
            ConfigError: a version is held or a run works with it, or another process makes a new one.
        """


def open_registry(
    name: str, root: str | Path | None = None, say: Say = lambda text: None, timing: Timing = TIMING
) -> Registry:
    """The versions of the model `name`, which need not exist yet.

    Args:
        root: a folder or a URL of fsspec; what `OPENSLOTH_MODELS` says, or `$OPENSLOTH_HOME/models`, when not
            given.
        say: told, in lines for a person, what is worth knowing.
        timing: of the lease on a model in a remote store.

    Raises:
        ConfigError: no model may be called so.
        StoreError: the URL cannot be used.
    """
    check_name(name)
    place = str(models_root() if root is None else root)
    if is_url(place) and not place.startswith(("file://", "local://")):
        from opensloth_core.registry.remote_registry import RemoteRegistry

        return RemoteRegistry(name, place, say, timing)
    from opensloth_core.registry.local_registry import LocalRegistry

    folder = Path(place.partition("://")[2] if is_url(place) else place)
    return LocalRegistry(name, expanded(folder).absolute())
