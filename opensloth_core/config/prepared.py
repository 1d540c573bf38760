"""Settings of a run that trains on data which was prepared before: the data's own, and none beside them."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from opensloth_core.config.nest import names_of
from opensloth_core.errors import ConfigError

NOT_OF_THE_DATA = frozenset({"prepared", "data_output", "verify"})
"""Settings of a preparation that may differ from those of the data that is found."""

KEY_CHARACTERS = 12


def with_own_settings(values: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """The settings of a run, and those of the prepared data that `prepared` names where they are not given.

    What a record names, which has all settings, may be gone meanwhile.

    Args:
        values: settings under any of their names.
        model: whose settings they are.

    Raises:
        ConfigError: there is no such data, and the settings do not say what it was made of.
    """
    # Runs have configurations, so their store's modules import this package.
    from opensloth_core.store.given import given_data

    try:
        given = given_data(str(values["prepared"]))
    except ConfigError:
        if _given(values, model, "data") and _given(values, model, "model"):
            return dict(values)
        raise
    result = dict(values) | {"prepared": given.reference}
    for name, own in given.manifest.preparation.items():
        if name not in model.model_fields or name in NOT_OF_THE_DATA or own is None:
            continue
        names = _given(values, model, name)
        if name == "gpus" and names and values[names[0]] == "auto":
            result = {key: value for key, value in result.items() if key not in names}
            names = []
        # The base model of a run to begin from is that run's.
        if not names and not (name == "model" and values.get("init_from")):
            result[name] = own
    return result


def contradiction(config: Any) -> str | None:
    """What of a configuration is not what its prepared data was made with, in words.

    Args:
        config: a `DatasetPrepConfig` that names prepared data.
    """
    from opensloth_core.config.data import DatasetPrepConfig
    from opensloth_core.store.given import given_data

    try:
        manifest = given_data(config.prepared).manifest
    except ConfigError:
        return None  # whoever runs it says so
    settings = manifest.preparation
    made = DatasetPrepConfig.of({name: value for name, value in settings.items() if name != "prepared"})
    key = manifest.key[:KEY_CHARACTERS]
    if config.method != made.method:
        return f"method {config.method}: the prepared data {key} is for {made.method}; use os-{made.method}"
    is_drawn = made.eval_size is not None or (made.samples is not None and made.samples_from == "random")
    # Another model may share the tokenizer, which is compared where its folder is known.
    apart = NOT_OF_THE_DATA | {"method", "model"} | (set() if is_drawn else {"seed"})
    for name in DatasetPrepConfig.model_fields:
        if name in apart:
            continue
        wanted, own = getattr(config, name), getattr(made, name)
        if name == "gpus" and isinstance(wanted, tuple):
            wanted = len(wanted)
        if wanted != own:
            return (
                f"{name} {_shown(wanted)}: contradicts the prepared data {key}, made with {name} "
                f"{_shown(own)}; drop it, or prepare the data again"
            )
    return None


def _given(values: Mapping[str, Any], model: type[BaseModel], name: str) -> list[str]:
    return [one for one in names_of(model, name) if values.get(one) is not None]


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
