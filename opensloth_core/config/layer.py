"""One layer of settings: what was given in one place, and where exactly each of it stands."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from opensloth_core.config.base import dotted
from opensloth_core.config.nest import Names, flat_names, nest, nested_settings, placed
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.config.spelling import did_you_mean
from opensloth_core.errors import ConfigError

FLAGS = "flags"
DEFAULT = "default"

_EITHER: tuple[tuple[Names, Names], ...] = (
    (("init_from",), ("model",)),
    (("model",), ("init_from",)),
    (("init_from",), ("pretrained_lora",)),
    (("training", "epochs"), ("training", "max_steps")),
    (("training", "gradient_accumulation_steps"), ("training", "global_batch_size")),
    (("training", "global_batch_size"), ("training", "gradient_accumulation_steps")),
)
"""Settings that say the same in two ways: the first, given in a stronger layer, replaces the weaker layer's
second."""

_FINETUNING_TYPE = ("finetuning_type",)
_BATCH_SIZE = ("training", "batch_size")
_ACCUMULATION = ("training", "gradient_accumulation_steps")


class SourceError(ConfigError):
    """What a file, a preset or a variable says cannot be used; in the words of whoever wrote it."""


@dataclass(frozen=True)
class Layer:
    """Settings that came from one place."""

    origin: str
    """What the place is called: `flags`, `run.yaml`."""

    values: Mapping[str, Any]
    """As the models have them, groups nested."""

    origins: Mapping[Names, str] = field(default_factory=dict)
    """More exact origins: `run.yaml:3`, by place."""

    @classmethod
    def of(cls, origin: str, values: Mapping[str, Any]) -> Self:
        """A layer of settings under any of their names."""
        return cls(origin, nest(values, OpenSlothConfig))

    def value(self, place: Names) -> Any:
        """The value of a setting, None where it is not given."""
        found: Any = self.values
        for part in place:
            found = found.get(part) if isinstance(found, Mapping) else None
        return found

    def origin_of(self, place: Names) -> str | None:
        """Where a setting of this layer stands; None where it is not given."""
        if self.value(place) is None:
            return None
        return self.origins.get(place, self.origin)


def refuse_unknown(values: Mapping[str, Any], where: Mapping[Names, str], origin: str) -> None:
    """Refuse names that are no setting, and groups that are none.

    Args:
        values: settings under any of their names.
        where: origins by the path under which they were given.
        origin: what a message begins with where no origin is known.

    Raises:
        SourceError: names the first of them and what was probably meant.
    """
    groups = nested_settings(OpenSlothConfig)
    known = set(flat_names(OpenSlothConfig).values())
    for one in placed(values, OpenSlothConfig):
        if one.place in known:
            continue
        at = where.get(one.path, origin)
        if one.place[0] in groups and len(one.place) == 1:
            raise SourceError(f"{at}: {one.path[0]}: is a group of settings, got {one.value!r:.80}")
        names: Iterable[str] = [*flat_names(OpenSlothConfig), *groups]
        if len(one.path) > 1:
            names = groups[one.path[0]].model_fields
        meant = did_you_mean(one.path[-1], names)
        raise SourceError(
            f"{at}: {dotted(one.path)}: no such setting{meant or '; os-train schema lists all'}"
        )


def merged(layers: Iterable[Layer]) -> dict[str, Any]:
    """The settings of all layers, the last being the strongest; groups are merged, other values replaced."""
    groups = nested_settings(OpenSlothConfig)
    result: dict[str, Any] = {}
    for layer in layers:
        for given, replaced in _EITHER:
            if layer.value(given) is not None:
                _remove(result, replaced)
        if layer.value(_FINETUNING_TYPE) == "full":
            _remove(result, ("lora",))  # meant for the adapter that there is not
        if layer.value(_BATCH_SIZE) == "auto":
            _remove(result, _ACCUMULATION)
        elif layer.value(_ACCUMULATION) is not None and Layer("", result).value(_BATCH_SIZE) == "auto":
            _remove(result, _BATCH_SIZE)
        for name, value in layer.values.items():
            weaker = result.get(name)
            if name in groups and isinstance(value, Mapping) and isinstance(weaker, Mapping):
                value = {**weaker, **value}
            result[name] = value
    return result


def _remove(values: dict[str, Any], place: Names) -> None:
    *groups, name = place
    for group in groups:
        inner = values.get(group)
        if not isinstance(inner, dict):
            return
        # A copy, since the layers keep what they were given.
        values[group] = inner = dict(inner)
        values = inner
    values.pop(name, None)
