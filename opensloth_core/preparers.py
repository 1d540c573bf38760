"""Data preparation for one model family, by the ancestor's names.

What families differ in is data (opensloth_core/data/render/families.py) and each model's own chat
template, so these classes add one thing to `run_prepare_data`: they refuse a model of another family.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from opensloth_core.api import PreparedData


class _FamilyPreparer:
    family: ClassVar[str]

    def __init__(self, config: DatasetPrepConfig | Mapping[str, Any]) -> None:
        self.config = DatasetPrepConfig.of(config)

    def prepare(self) -> "PreparedData":
        """As `run_prepare_data`.

        Raises:
            ConfigError: the model is of another family.
            DataError, ModelError: as `run_prepare_data` does.
        """
        from opensloth_core.api import run_prepare_data

        self._check_family()
        return run_prepare_data(self.config)

    def _check_family(self) -> None:
        from opensloth_core.data.render.families import family_by_config
        from opensloth_core.models.locate import model_folder

        folder = model_folder(self.config.model)
        path = folder / "config.json"
        try:
            model_type = str(json.loads(path.read_text(encoding="utf-8")).get("model_type") or "")
        except (OSError, ValueError, AttributeError) as err:
            raise ModelError(f"{path}: cannot be read as a model's config: {err}") from err
        if family_by_config(model_type, self.config.model) != self.family:
            raise ConfigError(
                f"model {self.config.model}: {type(self).__name__} prepares data for {self.family} models, "
                f"and this one is {model_type or 'of no known type'}; use run_prepare_data, which takes any"
            )


class QwenDatasetPreparer(_FamilyPreparer):
    """`QwenDatasetPreparer(config).prepare()`: data for a Qwen model."""

    family = "qwen"


class GemmaDatasetPreparer(_FamilyPreparer):
    """`GemmaDatasetPreparer(config).prepare()`: data for a Gemma model."""

    family = "gemma"
