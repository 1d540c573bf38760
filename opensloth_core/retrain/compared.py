"""Whether a new model can be compared with the version in use, and on which rows."""

from collections.abc import Callable

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.expanded import expanded
from opensloth_core.models.start import find_start
from opensloth_core.registry.records import Version
from opensloth_core.retrain.fingerprint import SourceFingerprint
from opensloth_core.store.remote.preparing import find_or_fetch
from opensloth_core.store.single_flight import Asker


def check_comparable(current: Version, config: OpenSlothConfig, found: SourceFingerprint) -> None:
    """Refuse a training that could not be compared with the version in use; call it before training.

    Raises:
        ConfigError: it is of another base model, or may have been trained on rows that are held out now.
        ModelError: there is no such base model.
    """
    base = find_start(config.model).model
    if not _is_same_model(current.record.base_model, base):
        raise ConfigError(
            f"model {config.model}: version {current.id} is an adapter of {current.record.base_model}; a "
            "name is for adapters of one model, so give another name"
        )
    before = SourceFingerprint.parse(current.record.source_fingerprint)
    if before is not None and before.held_out != found.held_out:
        raise ConfigError(
            f"eval_size {found.held_out}: version {current.id} was made with {before.held_out} held out, so "
            "it may have been trained on rows that would be held out now; give eval_size and seed as they "
            "were, or another name"
        )


def earlier_rows(current: Version | None, config: OpenSlothConfig, say: Callable[[str], None]) -> str | None:
    """Key of the prepared data whose held-out rows the version in use was judged by; None if there is none.

    Args:
        say: told where there should be some.

    Raises:
        StoreError: the data is in the store of `OPENSLOTH_STORE`, and cannot be fetched.
    """
    if current is None:
        return None
    record = current.record
    if SourceFingerprint.parse(record.source_fingerprint) is None:
        say(
            f"version {current.id} was not made by retraining: it may have been trained on rows that are "
            "held out now, which is to its advantage"
        )
        return None
    if record.method != config.method or record.prepared_key is None:
        return None
    manifest, problem = find_or_fetch(record.prepared_key, Asker("a retrain", lambda text: None))
    if manifest is None:
        reason = f" ({problem})" if problem else ""
        say(
            f"the data that version {current.id} was judged by is not here{reason}: "
            "only the rows that are held out now are compared, so wrong labels among them are not noticed. "
            "Machines that retrain one model in turn need OPENSLOTH_STORE for it"
        )
        return None
    return record.prepared_key


def _is_same_model(one: str, other: str) -> bool:
    if one == other:
        return True
    folders = [expanded(name) for name in (one, other)]
    return all(folder.is_dir() for folder in folders) and folders[0].samefile(folders[1])
