"""Settings of a run's record, which has what its method takes by default written out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opensloth_core.config.methods import METHOD_DEFAULTS, GrpoArguments


def is_record(path: Path) -> bool:
    """Whether a file is the configuration that a run was started with."""
    # Runs have configurations, so their modules import this package.
    from opensloth_core.runs.directory import RunDirectory

    run = RunDirectory(path.parent)
    return path.name == run.config_path.name and run.events_path.is_file()


def as_given(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a record without what `OpenSlothConfig.resolved` wrote out, so that another
    `finetuning_type` or `num_generations` takes defaults of its own.

    Args:
        values: as the models have them, groups nested.
    """
    training, defaults = values.get("training"), METHOD_DEFAULTS.get(str(values.get("method", "sft")))
    if not isinstance(training, Mapping) or defaults is None:
        return dict(values)
    written_out = {"learning_rate": defaults.learning_rate(values.get("finetuning_type") == "full")}
    grpo = values.get("grpo")
    if values.get("method") == "grpo" and isinstance(grpo, Mapping):
        default = GrpoArguments.model_fields["num_generations"].default
        written_out["batch_size"] = grpo.get("num_generations", default)
    given = {name: one for name, one in training.items() if one != written_out.get(name)}
    return {**values, "training": given}
