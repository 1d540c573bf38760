"""Whether a new model can be compared with the version in use, and on which rows."""

from collections.abc import Callable, Mapping

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.expanded import expanded
from opensloth_core.models.start import find_start
from opensloth_core.registry.records import PromotionRecord, Version
from opensloth_core.retrain.fingerprint import SourceFingerprint, with_prompts
from opensloth_core.store.prepared import find_prepared
from opensloth_core.store.remote.preparing import find_or_fetch
from opensloth_core.store.single_flight import Asker


def check_comparable(
    current: Version, config: OpenSlothConfig, found: SourceFingerprint, warm_start: bool
) -> None:
    """Refuse a training that could not be compared with the version in use; call it before training.

    Args:
        warm_start: whether it goes on with that version.

    Raises:
        ConfigError: it is of another base model, or one of the two may have been trained on rows that are
            held out now.
        ModelError: there is no such base model.
    """
    base = find_start(config.model).model
    if not _is_same_model(current.record.base_model, base):
        raise ConfigError(
            f"model {config.model}: version {current.id} is an adapter of {current.record.base_model}; a "
            "name is for adapters of one model, so give another name"
        )
    before = SourceFingerprint.parse(current.record.source_fingerprint)
    if before is None:
        if warm_start:
            raise ConfigError(
                f"warm_start: version {current.id} was not made by retraining: it may have been trained on "
                "rows that are held out now, and so would be what goes on with it; drop warm_start until "
                "retraining has promoted a version"
            )
        return
    held_out = with_prompts(before.held_out, current.record.method, _columns(current.record, config))
    if held_out != found.held_out:
        raise ConfigError(
            f"eval_size {found.held_out}: version {current.id} was made with {held_out} held out, so it may "
            "have been trained on rows that would be held out now; give eval_size, seed, method and map as "
            "they were, or another name"
        )


def _columns(record: PromotionRecord, config: OpenSlothConfig) -> Mapping[str, str]:
    """The setting `map` of a version whose fingerprint does not tell it; that of now where nothing does."""
    manifest = find_prepared(record.prepared_key)[0] if record.prepared_key else None
    return config.map if manifest is None else manifest.preparation["map"]


def earlier_rows(current: Version | None, say: Callable[[str], None]) -> str | None:
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
    if record.prepared_key is None:
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
