"""What is known of a version of a model: why it was promoted, and which files it is made of."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import Field, NonNegativeInt, field_validator

from opensloth_core.config.base import Settings
from opensloth_core.store.artifact import Manifest

_PRINTABLE = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"  # it is shown on terminals

Metrics = dict[str, float | None]


class PromotionRecord(Settings):
    """How a model was judged, and what it was made of."""

    run: str = Field(min_length=1, pattern=_PRINTABLE)
    """Name of the run that trained it."""

    method: str = Field(pattern=_PRINTABLE)
    """`sft`, `dpo` or `grpo`."""

    base_model: str = Field(pattern=_PRINTABLE)
    """What it was trained from, as the user called it."""

    prepared_key: str | None = None
    """Key of the prepared data."""

    data: str | None = Field(default=None, pattern=_PRINTABLE)
    """The data in a word or two, for people."""

    source_fingerprint: str | None = None
    """Tells the content of the source that was watched; the same content has the same one."""

    metric: str | None = Field(default=None, pattern=_PRINTABLE)
    """The metric that decided, a key of both below."""

    metrics_new: Metrics = Field(default_factory=dict)
    """Of this model on the held-out set, by name; None where it was no number."""

    metrics_old: Metrics = Field(default_factory=dict)
    """Of the model that was current on the same set; empty where there was none."""

    num_rows: NonNegativeInt | None = None
    """Rows it was trained on."""

    versions: dict[str, str] = Field(default_factory=dict)
    """Versions of the packages that trained it, by name."""

    time: float
    """When it was judged, in Unix seconds."""

    why: str = Field(default="", pattern=_PRINTABLE)
    """Why it was promoted or refused, one sentence for people."""

    promoted: bool = True
    """Whether it was promoted; False for a record of a refusal, see `Registry.note_judged`."""

    @field_validator("metrics_new", "metrics_old", mode="before")
    @classmethod
    def _numbers_only(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in values.items()
        }

    @property
    def old_and_new(self) -> tuple[float | None, float | None]:
        """The metric that decided, of the old model and of the new one."""
        if self.metric is None:
            return None, None
        return self.metrics_old.get(self.metric), self.metrics_new.get(self.metric)


class VersionManifest(Manifest):
    """What a version is; the last of its files to be written, which is never changed."""

    id: str
    """Name of the version."""

    record: PromotionRecord
    """How it came to be promoted."""

    replaced: str | None = None
    """The version that was current before it; None where there was none, or where that is noted elsewhere."""

    created: float
    """When it was written, in Unix seconds."""

    @property
    def size_bytes(self) -> int:
        """Size of all files but the manifest."""
        return sum(file.size_bytes for file in self.files.values())


@dataclass(frozen=True)
class Version:
    """A version of a model that was promoted."""

    id: str
    """Its name, such as `0007-3fa2`; the number grows with each promotion."""

    record: PromotionRecord
    """How it came to be promoted."""

    location: str
    """Folder or URL of its files."""

    manifest: VersionManifest
    """Names, sizes and digests of its files."""

    replaced: str | None = None
    """The version that was current when it was promoted, which a rollback goes back to."""

    @classmethod
    def of(cls, manifest: VersionManifest, location: str, replaced: str | None) -> Self:
        """The version that a manifest describes."""
        return cls(manifest.id, manifest.record, location, manifest, replaced)
