"""The sizes of a decoder, read from its config.json: what its weights and activations are counted by."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")

_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")
_QUERY_KEY_NORMS = ("qwen3", "qwen3_moe", "gemma3", "gemma3_text", "olmo2")
_QUERY_KEY_VALUE_BIASES = ("qwen2", "qwen2_moe")
_FOUR_NORMS = ("gemma2", "gemma3", "gemma3_text")
_TIED = ("gemma", "smollm3", "gpt2")
"""Families by what their configurations do not say."""


@dataclass(frozen=True)
class DecoderShape:
    """Sizes of a Llama-like decoder: attention with grouped heads and a gated MLP in every layer.

    Other architectures are counted as if they were one, which is near where their sizes are the same.
    """

    layers: int
    hidden: int
    intermediate: int
    """Numbers between the matrices of an MLP; of one expert, where there are several."""

    query: int
    """Numbers in the queries of one token, all heads together."""

    key_value: int
    """Numbers in the keys of one token."""

    heads: int
    vocabulary: int
    is_tied: bool
    """Whether the output head is the input embedding."""

    experts: int = 1
    experts_per_token: int = 1
    query_key_norm: int = 0
    """Size of the norms of queries and keys, 0 without."""

    attention_bias: bool = False
    norms_per_layer: int = 2

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self | None:
        """The shape in a configuration, of the text model in a larger one; None where it names none."""
        text = config.get("text_config")
        text = text if isinstance(text, Mapping) and "hidden_size" in text else config
        kind = str(text.get("model_type") or config.get("model_type") or "")
        try:
            hidden, heads = int(text["hidden_size"]), int(text["num_attention_heads"])
            head = int(text.get("head_dim") or hidden // heads)
            experts = next((int(text[name]) for name in _EXPERTS if text.get(name)), 1)
            of_expert = text.get("moe_intermediate_size") if experts > 1 else None
            tied = text.get("tie_word_embeddings", config.get("tie_word_embeddings"))
            return cls(
                layers=int(text["num_hidden_layers"]),
                hidden=hidden,
                intermediate=int(of_expert or text.get("intermediate_size") or 4 * hidden),
                query=heads * head,
                key_value=int(text.get("num_key_value_heads") or heads) * head,
                heads=heads,
                vocabulary=int(text["vocab_size"]),
                is_tied=kind.startswith(_TIED) if tied is None else bool(tied),
                experts=experts,
                experts_per_token=int(text.get("num_experts_per_tok") or 1) if experts > 1 else 1,
                query_key_norm=head if kind in _QUERY_KEY_NORMS else 0,
                attention_bias=bool(text.get("attention_bias")) or kind in _QUERY_KEY_VALUE_BIASES,
                norms_per_layer=4 if kind in _FOUR_NORMS else 2,
            )
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            return None

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The shape of the model in a folder; None where its config.json does not tell."""
        try:
            config = json.loads((folder / "config.json").read_text())
        except (OSError, ValueError):
            return None
        return cls.of(config) if isinstance(config, Mapping) else None

    @property
    def linear_layers(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of each matrix of a layer, of one expert where there are several."""
        hidden, inner = self.hidden, self.intermediate
        return {
            "q_proj": (hidden, self.query),
            "k_proj": (hidden, self.key_value),
            "v_proj": (hidden, self.key_value),
            "o_proj": (self.query, hidden),
            "gate_proj": (hidden, inner),
            "up_proj": (hidden, inner),
            "down_proj": (inner, hidden),
        }

    @property
    def linear_weights(self) -> int:
        """Weights of all matrices in the layers: those that 4-bit loading quantizes."""
        sizes = {name: rows * columns for name, (rows, columns) in self.linear_layers.items()}
        mlp = sum(sizes[name] for name in MLP) * self.experts
        return self.layers * (sum(sizes[name] for name in ATTENTION) + mlp)

    @property
    def weights(self) -> int:
        """All weights of the model."""
        embeddings = self.vocabulary * self.hidden * (1 if self.is_tied else 2)
        routers = self.layers * self.hidden * self.experts if self.experts > 1 else 0
        biases = (self.query + 2 * self.key_value) if self.attention_bias else 0
        norms = self.norms_per_layer * self.hidden + 2 * self.query_key_norm
        return self.linear_weights + embeddings + routers + self.layers * (biases + norms) + self.hidden

    def adapter_weights(self, rank: int, target_modules: Collection[str]) -> int:
        """Weights of a LoRA adapter on some of the matrices, experts included."""
        per_layer = 0
        for name, (inputs, outputs) in self.linear_layers.items():
            if name in target_modules:
                per_layer += rank * (inputs + outputs) * (self.experts if name in MLP else 1)
        return self.layers * per_layer
