"""How models were judged that are not in use: refused ones, and those that were rolled back.

    <model>/judged.json     records, the newest first; OpenSloth kept the last one alone once

They outlive versions, since what was refused or rolled back is not to be trained again from the same source.
"""

from collections.abc import Iterable, Sequence

from pydantic import TypeAdapter, ValidationError

from opensloth_core.errors import StoreError
from opensloth_core.registry.names import number
from opensloth_core.registry.records import PromotionRecord, Version

JUDGED = "judged.json"

MAX_JUDGEMENTS = 100
"""So many are kept, some hundred kilobytes; what was judged longer ago may be judged anew."""

_JUDGED = TypeAdapter(list[PromotionRecord] | PromotionRecord)


def read_judgements(data: bytes | None, place: str) -> list[PromotionRecord]:
    """The judgements that were noted, the newest first.

    Raises:
        StoreError: they are damaged.
    """
    if data is None:
        return []
    try:
        noted = _JUDGED.validate_json(data)
    except ValidationError as err:
        raise StoreError(f"{place}: is damaged; remove it, and the next retrain judges anew") from err
    return [noted] if isinstance(noted, PromotionRecord) else noted


def written(records: list[PromotionRecord]) -> bytes:
    """What `read_judgements` reads."""
    return _JUDGED.dump_json(records, indent=2) + b"\n"


def newest(records: Iterable[PromotionRecord]) -> list[PromotionRecord]:
    """The newest judgement of each source, the newest first; not more than are kept."""
    by_source: dict[str, PromotionRecord] = {}
    for record in sorted(records, key=lambda record: record.time, reverse=True):
        by_source.setdefault(record.source_fingerprint or record.run, record)
    return list(by_source.values())[:MAX_JUDGEMENTS]


def rolled_back(versions: Iterable[Version], current: str | None) -> list[PromotionRecord]:
    """Of versions that were promoted after the one that is current."""
    if current is None:
        return []
    return [version.record for version in versions if number(version.id) > number(current)]


def latest(noted: Sequence[PromotionRecord], versions: Sequence[Version]) -> PromotionRecord | None:
    """The last judgement: a promotion is one, noted or not, whatever was rolled back since."""
    records = [version.record for version in versions[:1]] + [*noted]
    return max(records, key=lambda record: record.time, default=None)
