"""The numbers of a plan in words."""

from collections.abc import Iterator

from opensloth_core.launch.gpus import GIB
from opensloth_core.plan.data_facts import DataFacts
from opensloth_core.plan.fit import ERROR
from opensloth_core.plan.plan import Plan
from opensloth_core.runs.report.numbers import counted, duration, percent, size
from opensloth_core.runs.report.settings import BATCH_UNITS

_UNITS = {"sft": "pack", "dpo": "pair", "grpo": "prompt"}
"""What data is counted in, by method."""


def data_lines(plan: Plan) -> Iterator[tuple[str, str]]:
    """Rows and tokens."""
    facts = plan.facts
    if facts is None:
        if plan.rows is not None:
            is_all = plan.rows.sampled_rows == plan.rows.rows
            estimated = "" if is_all else f" (~ estimated from the first {plan.rows.sampled_rows:,})"
            yield "Rows", f"{'' if is_all else '~'}{plan.rows.rows:,} read{estimated}"
        return
    mark = _mark(facts)
    estimated = "" if facts.is_exact else f" (~ estimated from {_sampled(facts)})"
    yield "Rows", f"{mark}{facts.rows:,} read, {mark}{facts.rows_trained:,} trained on{estimated}"
    trained = f", {mark}{facts.trained_tokens:,} of them trained" if facts.trained_tokens else ""
    units = f" in {mark}{counted(facts.units, _UNITS[plan.config.method])}, the longest of {facts.longest:,}"
    yield "Tokens", f"{mark}{facts.tokens:,} an epoch{trained},{units}"
    if facts.too_long:
        yield "", f"{percent(facts.too_long)} of the sampled rows are longer than --max-seq-length"


def _mark(facts: DataFacts) -> str:
    return "" if facts.is_exact else "~"


def _sampled(facts: DataFacts) -> str:
    return (
        f"all {facts.rows:,} rows"
        if facts.sampled_rows == facts.rows
        else f"the first {facts.sampled_rows:,}"
    )


def batch_text(plan: Plan) -> str:
    """`2 packs x 8 micro-batches x 1 GPU = 16 packs a step`."""
    assert plan.fit is not None and plan.devices is not None, "batches have devices"
    batch, unit = plan.fit.batch, BATCH_UNITS[plan.config.method]
    times, world = batch.gradient_accumulation_steps, batch.world_size
    device = "GPU" if plan.devices[0].on_gpu else "process"
    plural = "" if world == 1 else "s" if device == "GPU" else "es"
    text = (
        f"{batch.batch_size:,} {unit} x {times:,} micro-batch{'' if times == 1 else 'es'} x {world:,} "
        f"{device}{plural} = {batch.global_batch_size:,} {unit} a step"
    )
    return text + ("; how many fit at a time is measured when the run begins" if plan.fit.is_measured else "")


def steps_text(plan: Plan) -> str:
    """Optimizer steps."""
    training = plan.config.training
    if plan.num_steps is None:
        return "not known without the data"
    if training.max_steps:
        return f"{plan.num_steps:,} (max_steps)"
    mark = "" if plan.facts is None else _mark(plan.facts)
    epochs = f"{training.epochs:g} epoch{'' if training.epochs == 1 else 's'}"
    return f"{mark}{plan.num_steps:,} in {epochs}"


def memory_lines(plan: Plan) -> Iterator[tuple[str, str]]:
    """The memory of the fullest rank, and what takes it."""
    fit = plan.fit
    if fit is None or plan.devices is None:
        return
    if fit.memory is None:
        yield "Memory", "not known: the model's config.json is not here, or names no sizes of a decoder"
        return
    on_gpu = plan.devices[0].on_gpu
    of = ""
    if fit.device_bytes:
        of = f" of {_gib(fit.device_bytes)} ({fit.memory.total / fit.device_bytes:.0%})"
    where = f"a GPU ({plan.devices[0].name})" if on_gpu else "of RAM a process"
    activations = "activations recomputed" if fit.recomputes else "activations kept"
    yield "Memory", f"about {_gib(fit.memory.total)}{of} {where}, {activations}:"
    terms = fit.memory.terms.items()
    yield "", " + ".join(f"{name.replace('_', ' ')} {_gib(value)}" for name, value in terms)
    checked = f"± {ERROR:.0%} for LoRA SFT of a Llama on an H200, where it was checked; rougher for others"
    yield "", checked if on_gpu else "rough, and without the libraries themselves: checked on GPUs only"


def disk_text(plan: Plan) -> str:
    """What is written, and what is free."""
    disk = plan.disk
    assert disk is not None, "a plan with devices has it"
    parts = []
    if disk.prepared is None:
        parts.append("data not known")
    elif plan.given is not None or (plan.data is not None and plan.data.found is not None):
        parts.append("no new data")
    else:
        parts.append(f"data {size(disk.prepared)}")
    if disk.checkpoints is not None:
        parts.append(f"checkpoints {size(disk.checkpoints)}" if disk.checkpoints else "no checkpoints")
    if disk.result is not None:
        parts.append(f"{'model' if plan.config.finetuning_type == 'full' else 'adapter'} {size(disk.result)}")
    return f"about {', '.join(parts)}; {size(disk.free)} free"


def time_text(plan: Plan) -> str:
    """How long training takes."""
    if plan.num_steps is None:
        return "not known without the data"
    if plan.time is None:
        return "not known: no earlier run of this method, model, length and devices ended well here"
    time = plan.time
    speed = f" with {time.tokens_per_second:,.0f} tokens/s" if time.tokens_per_second else ""
    device = f" on {time.device}" if time.device else ""
    return f"about {duration(time.seconds)} of training, as {time.run}{speed}{device}"


def _gib(num_bytes: int) -> str:
    return f"{num_bytes / GIB:.2f} GiB" if num_bytes < 10 * GIB else f"{num_bytes / GIB:.1f} GiB"
