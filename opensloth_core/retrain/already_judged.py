"""Whether a source was trained on before, and what came of it."""

from opensloth_core.registry.model_registry import Registry
from opensloth_core.retrain.fingerprint import SourceFingerprint


def already_judged(registry: Registry, found: SourceFingerprint) -> str | None:
    """What came of the same data and settings before, in a sentence; None where they are new.

    New is also what was in use before a better version came: a person who takes bad rows back wants a model
    without them.

    Raises:
        StoreError: the registry cannot be read.
    """
    current = registry.current()
    if current is not None and found.is_same(SourceFingerprint.parse(current.record.source_fingerprint)):
        return f"nothing new since version {current.id}, which is in use"
    for record in registry.judgements():
        if found.is_same(SourceFingerprint.parse(record.source_fingerprint)):
            outcome = (
                "promoted, and is not in use any more" if record.promoted else f"not promoted: {record.why}"
            )
            return f"nothing new since run {record.run}, which was {outcome}"
    return None
