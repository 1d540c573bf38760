"""What the deployments take as parameters, made from a configuration."""

from typing import Any

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.form.values import form_of


def parameters_of(config: DatasetPrepConfig) -> dict[str, Any]:
    """The parameters that have a deployment run this configuration: what it was given, as JSON has it.

    Those of an `OpenSlothConfig` are for `finetune-<method>/local`, those of a `DatasetPrepConfig` for
    `prepare-data/local-data`; a deployment takes `resume` and `allow_drift` beside them.
    """
    return form_of(config).values_of(config)
