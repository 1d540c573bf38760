"""How the memory of a training step divides into what is always there and what a micro-batch adds.

    need = model as loaded + gradients + optimizer state + tokens * activations of a token

Good enough to compare settings with one another; what was really in use when memory ran out scales it.
Source: the count of Korthikanti et al. 2022, arXiv:2205.05198, section 4.1, for decoders with gated MLPs.
"""

from dataclasses import dataclass, replace
from typing import Any

OPTIMIZER_BYTES = {"adamw_torch": 8, "adamw_8bit": 2, "sgd": 0}
"""State of one trained weight."""

QUANTIZED_BYTES = 0.56
"""Of one weight in 4 bits, with its share of the scales."""


@dataclass(frozen=True)
class ModelShape:
    """Sizes of a decoder."""

    layers: int
    hidden: int
    intermediate: int
    key_value: int
    """Numbers in the keys of one token."""

    vocabulary: int

    @classmethod
    def of(cls, config: Any) -> "ModelShape":
        """The shape of a transformers configuration; a text model's within a larger one."""
        config = getattr(config, "text_config", config)
        hidden, heads = config.hidden_size, config.num_attention_heads
        return cls(
            layers=config.num_hidden_layers,
            hidden=hidden,
            intermediate=getattr(config, "intermediate_size", None) or 4 * hidden,
            key_value=(getattr(config, "num_key_value_heads", None) or heads) * (hidden // heads),
            vocabulary=config.vocab_size,
        )


@dataclass(frozen=True)
class Tried:
    """The settings that memory depends on."""

    batch_size: int
    """Units of a micro-batch."""

    accumulation: int
    tokens: int
    """Of one unit, at most."""

    checkpointing: bool
    quantized: bool

    def with_batch_size(self, batch_size: int) -> "Tried":
        """As many units in a step, in smaller micro-batches."""
        accumulation = self.batch_size * self.accumulation // batch_size
        return replace(self, batch_size=batch_size, accumulation=accumulation)


@dataclass(frozen=True)
class Footprint:
    """What a model takes, in bytes."""

    shape: ModelShape
    loaded: int
    """In use once the model was loaded, before the first step: its weights, and what libraries take."""

    weights: int
    """All weights, as they were loaded."""

    trained: int
    """Number of weights that are trained."""

    bytes_per_number: int
    """Of an activation."""

    optimizer: str
    world_size: int

    def fixed_bytes(self, quantize: bool = False) -> int:
        """What does not grow with the micro-batch.

        Args:
            quantize: hold those weights of the layers in 4 bits that were loaded in more.
        """
        gradients = 4 * self.trained * (2 if self.world_size > 1 else 1)  # and DDP's copy
        fixed = self.loaded + gradients + OPTIMIZER_BYTES[self.optimizer] * self.trained
        if not quantize:
            return fixed
        outside_layers = 2 * self.shape.vocabulary * self.shape.hidden * self.bytes_per_number
        saved = 1 - QUANTIZED_BYTES / self.bytes_per_number
        return fixed - round(max(0, self.weights - outside_layers) * saved)

    def activation_bytes(self, tried: Tried) -> int:
        """What a micro-batch adds at its peak.

        A layer keeps the residual stream twice, its two normed copies, q, k, v, the attention's result, and
        four numbers a unit of the MLP: gate, its activation, up, their product.
        """
        shape = self.shape
        layer = 6 * shape.hidden + 2 * shape.key_value + 4 * shape.intermediate
        kept = shape.layers * shape.hidden + layer if tried.checkpointing else shape.layers * layer
        token = kept * self.bytes_per_number + 4 * shape.vocabulary
        return tried.batch_size * tried.tokens * token
