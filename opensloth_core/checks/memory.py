"""Whether a run fits the memory of its devices, by the estimate of `opensloth_core.plan.memory`."""

from collections.abc import Sequence

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.doctor.finding import Finding, warning
from opensloth_core.errors import ConfigError
from opensloth_core.launch.gpus import GIB
from opensloth_core.plan.fit import ERROR, Fit
from opensloth_core.plan.memory import MemoryEstimate
from opensloth_core.plan.step_units import SHARE
from opensloth_core.readme import more_in_readme

NAME = "memory"


def check_memory(config: OpenSlothConfig, fit: Fit, on_gpu: bool) -> None:
    """Refuse a model whose smallest micro-batch cannot fit; nothing on a CPU, whose memory others give back.

    Raises:
        ConfigError: it needs more than the device has, by more than the estimate may be off.
    """
    if not on_gpu or not fit.is_impossible or fit.smallest is None or fit.device_bytes is None:
        return
    raise ConfigError(
        f"model {config.model_title}: {config.finetuning_type} needs about {_gib(fit.smallest.total)} of a "
        f"GPU's memory before the first example ({_terms(fit.smallest)}), and there are "
        f"{_gib(fit.device_bytes)}; {'; or '.join(ways_out(config, 1, is_long=False))}"
        f"{more_in_readme('Batches')}"
    )


def memory_warnings(config: OpenSlothConfig, fit: Fit, on_gpu: bool) -> Sequence[Finding]:
    """A warning where the estimate is more than training should take of the device."""
    if fit.memory is None or fit.device_bytes is None or not fit.is_tight or (on_gpu and fit.is_impossible):
        return []
    is_long = fit.memory.activations + fit.memory.logits > fit.memory.weights
    where = "GPU memory" if on_gpu else "free RAM"
    text = (
        f"about {_gib(fit.memory.total)} (± {ERROR:.0%}) of {_gib(fit.device_bytes)} {where} in "
        f"micro-batches of {fit.batch.batch_size}, more than {SHARE:.0%}: memory may run out"
    )
    return [warning(NAME, text, "; or ".join(ways_out(config, fit.batch.batch_size, is_long)))]


def ways_out(config: OpenSlothConfig, micro_batch: int, is_long: bool) -> list[str]:
    """What takes less memory, the least harm first.

    Args:
        is_long: whether shorter examples would help.
    """
    ways = []
    if config.training.gradient_checkpointing is False:
        ways.append("drop gradient_checkpointing false")
    if micro_batch > 1 and config.method != "grpo":
        ways.append("lower batch_size")
    if config.finetuning_type == "full":
        ways.append("give finetuning_type lora")
    elif config.finetuning_type == "lora":
        ways.append("give preset memory-saver (qlora)")
    if is_long:
        ways.append("lower max_seq_length")
    return [*ways, "take a smaller model"]


def _terms(memory: MemoryEstimate) -> str:
    named = sorted(memory.terms.items(), key=lambda term: -term[1])[:3]
    return ", ".join(f"{name.replace('_', ' ')} {_gib(size)}" for name, size in named)


def _gib(num_bytes: int) -> str:
    return f"{num_bytes / GIB:.1f} GiB"
