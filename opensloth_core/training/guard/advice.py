"""Which settings would fit into the memory that there is, the least harm first."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice

from opensloth_core.training.guard.footprint import Tried

FILL = 0.9
"""Share of memory that settings are told to fit into; the rest is for fragments and for errors of ours."""

SHORTEST = 64
"""Tokens below which nobody would train."""

Need = Callable[[Tried], float]
"""Bytes that some settings take."""


def advice(tried: Tried, need: Need, limit: float, can_quantize: bool) -> list[str]:
    """Flags that would fit, as few of them as it takes.

    Smaller micro-batches and recomputed activations change nothing about the result; weights in 4 bits do a
    little, and shorter examples lose data, so that these come in only when they must.

    Args:
        tried: what did not fit.
        limit: bytes that there are.
        can_quantize: whether the model's weights may be held in 4 bits instead.
    """

    def told(candidates: Iterable[Tried]) -> list[str]:
        fitting = (one for one in candidates if one != tried and need(one) <= FILL * limit)
        return [_told(tried, one, need) for one in islice(fitting, 1)]

    recomputing = replace(tried, checkpointing=True)
    harmless = told(_smaller_batches(tried)) + told([recomputing]) or told(_smaller_batches(recomputing))
    quantized: list[str] = []
    if can_quantize and not tried.quantized:
        in_4_bits = replace(tried, quantized=True)
        recomputed = replace(in_4_bits, checkpointing=True)
        quantized = told(chain([in_4_bits], _smaller_batches(in_4_bits), _smaller_batches(recomputed)))
    return harmless + quantized or told(
        _shorter(replace(recomputing.with_batch_size(1), quantized=tried.quantized or can_quantize))
    )


def _smaller_batches(tried: Tried) -> Iterator[Tried]:
    """As many units in a step, in smaller micro-batches, largest first."""
    units = tried.batch_size * tried.accumulation
    sizes = [size for size in range(1, tried.batch_size) if units % size == 0]
    return (tried.with_batch_size(size) for size in reversed(sizes))


def _shorter(tried: Tried) -> Iterator[Tried]:
    tokens = tried.tokens // 2
    while tokens >= SHORTEST:
        yield replace(tried, tokens=tokens)
        tokens //= 2


def _told(before: Tried, after: Tried, need: Need) -> str:
    flags, notes = [], []
    if after.batch_size != before.batch_size:
        flags.append(f"--batch-size {after.batch_size} --gradient-accumulation-steps {after.accumulation}")
        notes.append("the same global batch")
    if after.checkpointing != before.checkpointing:
        flags.append("--gradient-checkpointing")
        notes.append("about a third slower")
    if after.quantized != before.quantized:
        flags.append("--finetuning-type qlora")
        notes.append("the model's weights in 4 bits")
    if after.tokens != before.tokens:
        flags.append(f"--max-seq-length {after.tokens}")
        notes.append("longer examples are left out")
    return f"{' '.join(flags)} ({', '.join(notes)}; about {size_text(need(after))})"


def size_text(size: float) -> str:
    """`12.3 GiB`, or `340 MiB`."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
