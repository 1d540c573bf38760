"""A Llama of 1.1 billion random weights: speed does not depend on what a model knows."""

from pathlib import Path

SHAPES = {
    "1b": {"hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22,
           "num_attention_heads": 32, "num_key_value_heads": 4},
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2},
}  # fmt: skip
"""TinyLlama's shape, and one to try the benchmark itself with."""


def build(folder: Path, tokenizer_dir: Path, shape: str) -> None:
    """Write a model in bfloat16 with the tokenizer of another one into a folder."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_dir)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=4096,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **SHAPES[shape],
    )
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = LlamaForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def flop_per_token(model_dir: Path) -> float:
    """Floating point operations that LoRA training needs a token: 4 N.

    N counts every weight that multiplies, the output head included and the input embedding, which only
    looks up, not. Forward takes 2 N and the gradient of the activations 2 N; frozen weights have none.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(model_dir)
    hidden, heads = config.hidden_size, config.num_attention_heads
    key_value = hidden * config.num_key_value_heads // heads
    attention = 2 * hidden * hidden + 2 * hidden * key_value
    layer = attention + 3 * hidden * config.intermediate_size
    return float(4 * (config.num_hidden_layers * layer + hidden * config.vocab_size))
