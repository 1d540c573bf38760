"""How the last model was judged."""

from collections.abc import Sequence

from pydantic import ValidationError

from opensloth_core.errors import StoreError
from opensloth_core.registry.records import PromotionRecord, Version


def read_judgement(data: bytes | None, place: str) -> PromotionRecord | None:
    """The judgement that was noted; None where none was.

    Raises:
        StoreError: it is damaged.
    """
    if data is None:
        return None
    try:
        return PromotionRecord.model_validate_json(data)
    except ValidationError as err:
        raise StoreError(f"{place}: is damaged; remove it, and the next retrain judges anew") from err


def latest(noted: PromotionRecord | None, versions: Sequence[Version]) -> PromotionRecord | None:
    """The last judgement: a promotion is one, noted or not, whatever was rolled back since."""
    records = [version.record for version in versions[:1]] + ([noted] if noted else [])
    return max(records, key=lambda record: record.time, default=None)
