"""Which micro-batch a run would take, and whether it fits, by the estimate of its memory."""

from dataclasses import dataclass

from opensloth_core.config.batch import BatchPlan
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.models.present import continues_adapter, present_folder, with_settings_of_adapter
from opensloth_core.models.start import find_start
from opensloth_core.plan.data_facts import DataFacts
from opensloth_core.plan.device import Device
from opensloth_core.plan.memory import MemoryEstimate, MemoryModel
from opensloth_core.plan.shape import DecoderShape
from opensloth_core.plan.step_units import MOST_UNITS, SHARE, batch_of_size, default_units

ERROR = 0.15
"""How far the estimate may be off: what needs more than this beyond the device cannot fit."""


@dataclass(frozen=True)
class Fit:
    """The batch numbers of a run, and the memory of the fullest rank."""

    batch: BatchPlan
    is_measured: bool
    """Whether the run will measure what fits, so that the micro-batch is a guess here."""

    recomputes: bool
    memory: MemoryEstimate | None
    """None where the model's config.json is not here or names no sizes."""

    smallest: MemoryEstimate | None
    """Of a micro-batch of a single token: what is there however small batches and examples are."""

    device_bytes: int | None

    @property
    def is_impossible(self) -> bool:
        """Whether not even a single token fits, however wrong the estimate may be."""
        if self.smallest is None or self.device_bytes is None:
            return False
        return self.smallest.total * (1 - ERROR) > self.device_bytes

    @property
    def is_tight(self) -> bool:
        """Whether the run takes more of the memory than it should."""
        if self.memory is None or self.device_bytes is None:
            return False
        return self.memory.total > SHARE * self.device_bytes


def memory_model(config: OpenSlothConfig, devices: tuple[Device, ...]) -> MemoryModel | None:
    """The memory of a run; None where the model's config.json is not here or names no sizes.

    Raises:
        ModelError: model or adapter is not there.
    """
    folder = present_folder(find_start(config.model, config.pretrained_lora).model)
    shape = None if folder is None else DecoderShape.read(folder)
    if shape is None:
        return None
    sizes = [device.memory_bytes for device in devices if device.memory_bytes is not None]
    return MemoryModel(
        with_settings_of_adapter(config),
        shape,
        len(devices),
        devices[0].on_gpu,
        min(sizes, default=None),
        continues_adapter(config),
    )


def find_fit(
    config: OpenSlothConfig, model: MemoryModel | None, devices: tuple[Device, ...], facts: DataFacts | None
) -> Fit:
    """What a run would come to.

    Args:
        facts: of its data, where that is known; full packs are assumed otherwise.

    Raises:
        ConfigError: the batch settings contradict each other.
    """
    on_gpu, world_size = devices[0].on_gpu, len(devices)
    unit = _unit_tokens(config, facts)
    limit = None if model is None else model.device_bytes
    given = config.training.gradient_checkpointing
    # On a CPU nobody measures, and GRPO's activations always are recomputed on a GPU.
    modes = (False, True) if config.measures_checkpointing(on_gpu) else (on_gpu if given is None else given,)

    def fit(batch: BatchPlan, recomputes: bool, is_measured: bool) -> Fit:
        if model is None:
            return Fit(batch, is_measured, recomputes, None, None, None)
        smallest = model.estimate(1, 1, recomputes=True)
        memory = model.estimate(batch.batch_size, unit, recomputes)
        return Fit(batch, is_measured, recomputes, memory, smallest, limit)

    if not config.measures_batch(on_gpu):
        batch = config.batch_plan(world_size)
        fits = [fit(batch, recomputes, False) for recomputes in modes]
        return next((one for one in fits if not one.is_tight), fits[-1])
    per_rank = _units_of_a_rank(config, world_size, facts)
    found = [
        fit(batch_of_size(size, per_rank, world_size), recomputes, True)
        for recomputes in modes
        if (size := _largest(model, unit, recomputes, per_rank))
    ]
    whole = next((one for one in found if one.batch.gradient_accumulation_steps == 1), None)
    return whole or (found[0] if found else fit(batch_of_size(1, per_rank, world_size), modes[-1], True))


def _largest(model: MemoryModel | None, unit: int, recomputes: bool, most: int) -> int:
    """Units of the largest micro-batch that fits; 0 where none does."""
    if model is None or model.device_bytes is None:
        return most
    limit = SHARE * model.device_bytes
    return max(
        (n for n in range(1, most + 1) if model.estimate(n, unit, recomputes).total <= limit), default=0
    )


def _units_of_a_rank(config: OpenSlothConfig, world_size: int, facts: DataFacts | None) -> int:
    training = config.training
    if training.global_batch_size:
        if training.global_batch_size % world_size:
            raise ConfigError(
                f"global_batch_size {training.global_batch_size} is not a multiple of {world_size} GPUs; "
                "change one of the two"
            )
        return training.global_batch_size // world_size
    if facts is None:
        return MOST_UNITS
    return default_units(facts.units, training.epochs, training.max_steps, world_size)


def _unit_tokens(config: OpenSlothConfig, facts: DataFacts | None) -> int:
    longest = config.max_seq_length if facts is None else facts.longest
    return longest + (config.grpo.max_completion_length if config.method == "grpo" else 0)
