"""A tiny model for checks: real architecture, random weights, one token a byte, no download.

A Llama of two layers with a byte-level ChatML tokenizer. It learns nothing worth saying, but it takes
the same way through training as any other model, in a second instead of minutes. Its files are written as
transformers would, without importing it or torch.
"""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
"""Padding, begin and end of a turn; ids 0, 1 and 2, the 256 bytes after them."""

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""Chat template. Source: the ChatML of openai-python v0.28, chatml.md."""

VOCABULARY = len(SPECIAL_TOKENS) + 256
HIDDEN, INTERMEDIATE, LAYERS, HEADS, KEY_VALUE_HEADS = 32, 64, 2, 4, 2

MAX_POSITIONS = 2048
"""Longest sequence of the model, in tokens."""

WEIGHT_DEVIATION = 0.02
"""Standard deviation of the weights, Llama's."""


def write_tiny_model(folder: Path, seed: int = 0) -> Path:
    """Write model and tokenizer into `folder`, which is made; equal for equal seeds. Gives the folder."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    pad, bos, eos = range(len(SPECIAL_TOKENS))
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_VALUE_HEADS,
        "max_position_embeddings": MAX_POSITIONS,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": False,
        "bos_token_id": bos,
        "eos_token_id": eos,
        "pad_token_id": pad,
        "dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file(_weights(seed), folder / "model.safetensors", metadata={"format": "pt"})
    write_tiny_tokenizer(folder)
    return folder


def write_tiny_tokenizer(folder: Path) -> None:
    """Write a tokenizer with ChatML for which every byte and every marker of a turn is a token."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE({token: i for i, token in enumerate([*SPECIAL_TOKENS, *alphabet])}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL_TOKENS])
    backend.save(str(folder / "tokenizer.json"))
    padding, begin, end = SPECIAL_TOKENS
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": begin,
        "eos_token": end,
        "pad_token": padding,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "chat_template.jinja").write_text(CHATML)


def _weights(seed: int) -> dict[str, npt.NDArray[np.float32]]:
    draw = np.random.default_rng(seed)
    key_value = HIDDEN // HEADS * KEY_VALUE_HEADS
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens": (VOCABULARY, HIDDEN)}
    for layer in range(LAYERS):
        shapes |= {
            f"model.layers.{layer}.{name}": shape
            for name, shape in {
                "input_layernorm": (HIDDEN,),
                "self_attn.q_proj": (HIDDEN, HIDDEN),
                "self_attn.k_proj": (key_value, HIDDEN),
                "self_attn.v_proj": (key_value, HIDDEN),
                "self_attn.o_proj": (HIDDEN, HIDDEN),
                "post_attention_layernorm": (HIDDEN,),
                "mlp.gate_proj": (INTERMEDIATE, HIDDEN),
                "mlp.up_proj": (INTERMEDIATE, HIDDEN),
                "mlp.down_proj": (HIDDEN, INTERMEDIATE),
            }.items()
        }
    shapes |= {"model.norm": (HIDDEN,), "lm_head": (VOCABULARY, HIDDEN)}
    return {
        f"{name}.weight": np.ones(shape, np.float32)
        if len(shape) == 1
        else draw.normal(0, WEIGHT_DEVIATION, shape).astype(np.float32)
        for name, shape in shapes.items()
    }
