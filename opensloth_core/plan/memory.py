"""What training takes of a GPU's memory, counted from the model's config.json and the settings alone.

    peak = weights + adapter + gradients + optimizer + reference + activations + logits

    weights      all of the model; in 4 bits with qlora, the embeddings excepted
    adapter      its weights, float32
    gradients    of what is trained; with several ranks once more, as DDP's buckets
    optimizer    its state
    reference    the second model that DPO compares with where all weights are trained, or GRPO with kl_beta
    activations  what is kept for the backward pass, and what that itself needs at a time
    logits       what the loss needs beyond that

A layer keeps of each token the residual stream twice and its two normed copies (4 h), the queries and the
attention's result (2 q), keys and values (2 k), and of the MLP two numbers a unit where Unsloth's kernel for
LoRA computes it, four elsewhere. Where activations are recomputed, one layer's are there at a time, since
Unsloth keeps the inputs of the others in RAM. The loss is computed in chunks of tokens whose logits and their
gradient are held at once.

What GRPO generates with, a cache of keys and values for all completions of a step, is there at another time
than activations and logits; the larger of the two counts.

Checked on one model shape only: LoRA SFT of a 1.1B Llama in bfloat16 on an H200, activations kept and
recomputed, one and two ranks, within 9 % of the peak that torch allocated; and term by term on a CPU. Other
architectures, qlora, full, DPO and GRPO are counted the same way and were not measured. CUDA itself, and what
fragments, come on top: `opensloth_core.plan.step_units.SHARE` leaves room for them.

Source: the count of Korthikanti et al. 2022, arXiv:2205.05198, section 4.1, for what Unsloth 2026.10 saves.
"""

import math
from dataclasses import dataclass, fields

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.plan.shape import DecoderShape

QUANTIZED_BYTES = 0.516
"""Of one weight in 4 bits: half a byte, a byte a block of 64, and four a group of 256 blocks."""

MASTER_BYTES = 4
"""Of a number of an adapter and its gradient, which are float32."""

OPTIMIZER_NUMBERS = {"adamw_torch": 2, "adamw_8bit": 2, "sgd": 0}
"""Numbers of state a trained weight, of the format of the weight; of one byte each in 8 bits."""

LOSS_CHUNK_BYTES = 4 << 30
"""What the loss plans for a chunk, at `_BYTES_PER_LOGIT`. Source: unsloth_zoo 2026.10,
fused_losses/cross_entropy_loss.py."""

_BYTES_PER_LOGIT = 16
_LEAST_CHUNK_BYTES = 1 << 28


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes of one rank at the peak, by what takes them; they add up."""

    weights: int
    adapter: int
    gradients: int
    optimizer: int
    reference: int
    activations: int
    logits: int
    generation_cache: int
    """Beyond activations and logits, which are not there while completions are generated."""

    @property
    def total(self) -> int:
        return sum(getattr(self, field.name) for field in fields(self))

    @property
    def terms(self) -> dict[str, int]:
        """What is not zero, by its name."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name))} or {
            "weights": 0
        }


@dataclass(frozen=True)
class MemoryModel:
    """The memory of a run as a function of its micro-batch."""

    config: OpenSlothConfig
    shape: DecoderShape
    world_size: int
    on_gpu: bool
    device_bytes: int | None = None
    """Memory of the device, which decides how finely the loss is chunked where there is little."""

    continues_adapter: bool = False
    """Whether an adapter that was trained before goes on, a frozen copy of which is DPO's reference."""

    def estimate(self, micro_batch: int, unit_tokens: int, recomputes: bool) -> MemoryEstimate:
        """The peak of a rank.

        Args:
            micro_batch: packs, pairs or completions in it.
            unit_tokens: of the longest of them: of a pack, of the longer side of a pair, of a prompt with its
                completion.
            recomputes: whether activations are computed again in the backward pass.
        """
        tokens = micro_batch * unit_tokens * (2 if self.config.method == "dpo" else 1)
        trained = self._adapter() + self._gradients() + self._optimizer()
        fixed = self._weights() + trained + self._reference()
        one_layer = tokens * self.layer_bytes()
        backward = tokens * (self.shape.intermediate * self.shape.experts_per_token + 3 * self.shape.hidden)
        backward *= self._number_bytes
        loss = self._logits(tokens, fixed) + tokens * 2 * self.shape.hidden * self._number_bytes
        kept = 0 if recomputes and self.on_gpu else self._kept(tokens, one_layer, recomputes)
        at_once = one_layer + backward if recomputes else backward
        training = kept + max(at_once, loss)
        return MemoryEstimate(
            weights=self._weights(),
            adapter=self._adapter(),
            gradients=self._gradients(),
            optimizer=self._optimizer(),
            reference=self._reference(),
            activations=kept + at_once,
            logits=max(0, loss - at_once),
            generation_cache=max(0, self._cache(unit_tokens) - training),
        )

    def layer_bytes(self) -> int:
        """What one layer keeps of one token for the backward pass."""
        shape = self.shape
        mlp = 2 if self.on_gpu and self._has_adapter else 4
        numbers = 4 * shape.hidden + 2 * shape.query + 2 * shape.key_value
        numbers += mlp * shape.intermediate * shape.experts_per_token
        if shape.query_key_norm:
            numbers += shape.query + shape.key_value
        if self._has_adapter and not self.on_gpu:
            # Autograd keeps each product with the first matrix; Unsloth's kernel computes it again.
            numbers += self.config.lora.lora_rank * len(self.config.lora.target_modules)
        return numbers * self._number_bytes + 4 * (shape.heads + shape.norms_per_layer)

    def optimizer_state(self) -> int:
        """Bytes of the optimizer's state."""
        return self._optimizer()

    @property
    def trained_weights(self) -> int:
        """Number of weights that are trained."""
        if not self._has_adapter:
            return self.shape.weights
        lora = self.config.lora
        return self.shape.adapter_weights(lora.lora_rank, lora.target_modules)

    @property
    def _has_adapter(self) -> bool:
        return self.config.finetuning_type != "full"

    @property
    def _number_bytes(self) -> int:
        """Of an activation; half precision on a GPU, unless an adapter is trained in float32."""
        if self.on_gpu:
            return 4 if self._has_adapter and self.config.dtype == "float32" else 2
        return 2 if self.config.dtype == "bfloat16" else 4

    @property
    def _weight_bytes(self) -> int:
        if self.config.dtype != "auto":
            return 4 if self.config.dtype == "float32" else 2
        return 2 if self.on_gpu else 4

    def _weights(self) -> int:
        shape = self.shape
        if self.config.finetuning_type != "qlora":
            # Where weights are float32 and products are not, autocast holds a copy of the matrices.
            copies = 2 * shape.linear_weights if self._weight_bytes > self._number_bytes else 0
            return shape.weights * self._weight_bytes + copies
        outside = shape.weights - shape.linear_weights
        largest = max(rows * columns for rows, columns in shape.linear_layers.values())
        # One matrix at a time is unpacked.
        return round(shape.linear_weights * QUANTIZED_BYTES) + (outside + largest) * self._weight_bytes

    def _adapter(self) -> int:
        return self.trained_weights * MASTER_BYTES if self._has_adapter else 0

    def _gradients(self) -> int:
        size = MASTER_BYTES if self._has_adapter else self._weight_bytes
        return self.trained_weights * size * (2 if self.world_size > 1 else 1)

    def _optimizer(self) -> int:
        optimizer = self.config.training.optimizer
        master = MASTER_BYTES if self._has_adapter else self._weight_bytes
        size = 1 if optimizer == "adamw_8bit" else master
        return self.trained_weights * OPTIMIZER_NUMBERS[optimizer] * size

    def _reference(self) -> int:
        config = self.config
        if config.method == "dpo":
            return self._adapter() * self.continues_adapter if self._has_adapter else self._weights()
        if config.method == "grpo" and config.grpo.kl_beta:
            return self._adapter() or self._weights()
        return 0

    def _kept(self, tokens: int, one_layer: int, recomputes: bool) -> int:
        """Activations that wait for the backward pass, of all layers."""
        if recomputes:
            return self.shape.layers * tokens * self.shape.hidden * self._number_bytes
        return self.shape.layers * one_layer

    def _logits(self, tokens: int, fixed: int) -> int:
        """Logits of a chunk of tokens, and their gradient."""
        budget = LOSS_CHUNK_BYTES
        if self.device_bytes is not None:
            budget = min(budget, max(_LEAST_CHUNK_BYTES, (self.device_bytes - fixed) // 2))
        vocabulary = self.shape.vocabulary
        chunks = tokens * vocabulary * _BYTES_PER_LOGIT / budget
        num_chunks = 1 if chunks <= 1 else 4 * math.ceil(chunks / 4)
        return math.ceil(tokens / num_chunks) * vocabulary * 2 * self._number_bytes

    def _cache(self, unit_tokens: int) -> int:
        """Keys and values of all completions that a rank samples at once, and logits of their next tokens."""
        if self.config.method != "grpo":
            return 0
        batch = self.config.batch_plan(self.world_size)
        completions = batch.batch_size * batch.gradient_accumulation_steps
        cached = unit_tokens * self.shape.layers * 2 * self.shape.key_value * self._number_bytes
        return completions * (cached + 3 * 4 * self.shape.vocabulary)
