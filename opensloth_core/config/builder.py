"""Layers of settings merged into one configuration.

Precedence, weakest first: the models' own defaults, a preset, a configuration file, the environment, the
prepared data's manifest, the flags. A layer holds only what was given, so "not given" never beats a weaker
layer.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import ValidationError

from opensloth_core.config.base import Place, describe, dotted
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.layer import DEFAULT, FLAGS, Layer, merged
from opensloth_core.config.nest import Names, flat_names
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError

Preparation = TypeVar("Preparation", bound=DatasetPrepConfig)


class LayeredConfigError(ConfigError):
    """A setting is wrong; its arguments are the message and the builder's `origins`."""

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def origins(self) -> Mapping[Names, str]:
        """Where each setting came from that is neither a default nor a flag, by its place."""
        found: Mapping[Names, str] = self.args[1]
        return found


class TrainingConfigBuilder:
    """Builds an `OpenSlothConfig` from layers; add the weakest first.

    Example:
        config = (
            TrainingConfigBuilder()
            .with_preset("quality")
            .with_file(Path("run.yaml"))
            .with_manifest(prepared.manifest.preparation)
            .with_flags({"epochs": 3, "lr": 1e-4})
            .build()
        )
    """

    def __init__(self) -> None:
        self._preset: str | None = None
        self._given: list[Layer] = []

    def with_preset(self, name: str) -> Self:
        """Add the settings of a preset; the weakest layer, whenever it is added.

        What a preset changes depends on the method, which a stronger layer may give, so an unknown name, or
        one that is for other methods, is refused by `build`.
        """
        self._preset = name
        return self

    def with_file(self, path: Path) -> Self:
        """Add the settings of a YAML, TOML or JSON file, see `config.files`."""
        # Imported here and below: most runs are given flags only.
        from opensloth_core.config.files import file_layer

        return self._with(file_layer(path))

    def with_environment(self, environ: Mapping[str, str]) -> Self:
        """Add the settings of environment variables, see `config.environment`."""
        from opensloth_core.config.environment import environment_layer

        return self._with(environment_layer(environ))

    def with_manifest(self, preparation: Mapping[str, Any]) -> Self:
        """Add the settings the prepared data was made with."""
        return self._with(Layer.of("the prepared data's manifest", preparation))

    def with_flags(self, flags: Mapping[str, Any]) -> Self:
        """Add what the user gave; nested settings may be named flat (`lr`, `lora_rank`)."""
        return self._with(Layer.of(FLAGS, flags))

    def _with(self, layer: Layer) -> Self:
        self._given.append(layer)
        return self

    def build(self) -> OpenSlothConfig:
        """The merged configuration.

        Raises:
            ConfigError: a setting is unknown, missing or out of bounds.
        """
        return self._validated(OpenSlothConfig, merged(self._layers()))

    def build_preparation(self, kind: type[Preparation]) -> Preparation:
        """The part of the merged configuration that decides the prepared data.

        Settings of the training that may follow are left out, so that one file does for both.

        Args:
            kind: the model of the part, with settings of its own or not.

        Raises:
            ConfigError: a setting is unknown, missing or out of bounds.
        """
        of_training = OpenSlothConfig.model_fields.keys() - kind.model_fields.keys()
        values = merged(self._layers())
        return self._validated(kind, {n: value for n, value in values.items() if n not in of_training})

    def origin(self, path: str) -> str:
        """Where the value of a setting (`training.learning_rate`) comes from."""
        place = tuple(path.split("."))
        found = (layer.origin_of(place) for layer in reversed(self._layers()))
        return next((origin for origin in found if origin), DEFAULT)

    def contradiction(self, method: str) -> str | None:
        """Where another method is named than this one: `run.yaml:2: method dpo`."""
        for layer in self._given:
            given = layer.value(("method",))
            if given not in (None, method):
                return f"{layer.origin_of(('method',))}: method {given}"
        return None

    def _layers(self) -> list[Layer]:
        if self._preset is None:
            return self._given
        from opensloth_core.presets.preset import preset_layer

        given = merged(self._given)
        preset = preset_layer(self._preset, str(given.get("method", "sft")))
        if given.get("prepared") is not None:
            # The data's own settings are stronger than a preset's.
            own = {n: v for n, v in preset.values.items() if n not in DatasetPrepConfig.model_fields}
            preset = replace(preset, values=own)
        return [preset, *self._given]

    def _validated(self, kind: type[Preparation], values: Mapping[str, Any]) -> Preparation:
        try:
            return kind.of(values)
        except ConfigError as err:
            cause = err.__cause__
            if not isinstance(cause, ValidationError):
                raise
            origins = self.origins
            message = describe(cause, kind, lambda place: with_origin(place, origins) or dotted(place))
            raise LayeredConfigError(message, origins) from cause

    @property
    def origins(self) -> dict[Names, str]:
        """Where each setting came from that is neither a default nor a flag, by its place."""
        found: dict[Names, str] = {}
        for layer in self._layers():
            for place in set(flat_names(OpenSlothConfig).values()):
                origin = layer.origin_of(place)
                if origin == FLAGS:
                    found.pop(place, None)
                elif origin is not None:
                    found[place] = origin
        return found


def with_origin(place: Place, origins: Mapping[Names, str]) -> str | None:
    """A setting and where it came from: `learning_rate (run.yaml:3)`; None for defaults and flags."""
    names = tuple(str(part) for part in place)
    while names and names not in origins:
        names = names[:-1]
    return f"{names[-1]} ({origins[names]})" if names else None
