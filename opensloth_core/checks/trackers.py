"""Whether the trackers that metrics also go to are known and installed."""

from collections.abc import Sequence
from importlib.util import find_spec

from opensloth_core.errors import ConfigError

TRACKERS = {
    "azure_ml": "azureml",
    "clearml": "clearml",
    "codecarbon": "codecarbon",
    "comet_ml": "comet_ml",
    "dagshub": "dagshub",
    "dvclive": "dvclive",
    "flyte": "flytekit",
    "mlflow": "mlflow",
    "neptune": "neptune",
    "swanlab": "swanlab",
    "tensorboard": "tensorboard",
    "trackio": "trackio",
    "wandb": "wandb",
}
"""Names of transformers' integrations, and the package each needs.

Source: https://github.com/huggingface/transformers/tree/v5.17.0, integrations/integration_utils.py,
INTEGRATION_TO_CALLBACK
"""

_OTHER_PACKAGES = {"tensorboard": ("tensorboardX",)}

NONE = "none"


def check_trackers(report_to: Sequence[str]) -> None:
    """Refuse trackers that would fail when training starts.

    Raises:
        ConfigError: a tracker is unknown or not installed, or "none" is given beside one.
    """
    shown = ", ".join(report_to)
    if NONE in report_to and len(report_to) > 1:
        raise ConfigError(f"report_to {shown}: none is given beside others; drop it, or them")
    for name in report_to:
        if name == NONE:
            continue
        if name not in TRACKERS:
            raise ConfigError(f"report_to {name}: no such tracker; known: {', '.join(TRACKERS)}, {NONE}")
        packages = (TRACKERS[name], *_OTHER_PACKAGES.get(name, ()))
        if not any(map(find_spec, packages)):
            raise ConfigError(f"report_to {name}: {packages[0]} is not installed; install it, or drop it")
