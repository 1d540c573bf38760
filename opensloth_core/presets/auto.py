"""`--preset auto`: the preset that the model's size and the GPUs' memory ask for."""

from dataclasses import dataclass

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import OpenSlothError
from opensloth_core.presets.names import PresetName

AUTO = "auto"
_GIB = 1 << 30


@dataclass(frozen=True)
class Choice:
    """What "auto" came to."""

    preset: PresetName | None
    """None where the settings are best left as they are."""

    why: str

    @property
    def text(self) -> str:
        """`preset auto: memory-saver, since …`, for the run's record."""
        return f"preset auto: {self.preset or 'none'}, since {self.why}"


def choose_preset(config: OpenSlothConfig) -> Choice:
    """The preset for a configuration; the same for the same model, settings and GPUs.

    memory-saver where one unit at a time, its activations recomputed, takes more of a GPU's memory than
    training may; none where that fits, on a CPU, and where it cannot be told. The other presets change what
    is trained, or for how long, which memory says nothing about.

    Args:
        config: all that was given, without a preset.
    """
    # Imported here: most commands name a preset, or none.
    from opensloth_core.launch.devices import wanted_devices
    from opensloth_core.plan.device import describe_devices
    from opensloth_core.plan.fit import memory_model
    from opensloth_core.plan.step_units import SHARE

    try:
        devices = describe_devices(wanted_devices(config).best)
        if not devices[0].on_gpu:
            return Choice(None, "there is no GPU whose memory could be too small")
        model = memory_model(config, devices)
    except OpenSlothError as err:  # which refuses the run itself
        return Choice(None, f"it cannot be told: {err}")
    if model is None or model.device_bytes is None:
        return Choice(None, f"the size of {config.model_title} is not known before it is fetched")
    least = model.estimate(1, config.context_length, recomputes=True).total
    needs = (
        f"{config.finetuning_type} of {config.model_title} needs about {least / _GIB:.1f} GiB at least, of "
        f"{model.device_bytes / _GIB:.1f} GiB a GPU"
    )
    if least <= SHARE * model.device_bytes:
        return Choice(None, needs)
    return Choice("memory-saver", f"{needs}, more than {SHARE:.0%}")
