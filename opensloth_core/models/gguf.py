"""Converts a GGUF file into a Hugging Face folder: `python -m opensloth_core.models.gguf FILE FOLDER`.

With `--no-weights` only its tokenizer and configuration.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from opensloth_core.models.byte_level import mend_byte_level

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_TURN_END = "<|im_end|>"


def convert_gguf(gguf_path: Path, target_dir: Path, with_weights: bool = True) -> None:
    """Writes the GGUF file's model and tokenizer as a Hugging Face folder."""
    from transformers import AutoConfig, AutoTokenizer

    source = {
        "pretrained_model_name_or_path": str(gguf_path.parent),
        "gguf_file": gguf_path.name,
    }
    tokenizer = AutoTokenizer.from_pretrained(**source)
    # The reader returns <|im_start|>, with which generation never stops at the end of a turn.
    tokenizer.eos_token = _TURN_END
    tokenizer.pad_token = _TURN_END
    # The reader turns it on, and decoding a byte-level BPE would then lose spaces.
    tokenizer.clean_up_tokenization_spaces = False

    if with_weights:
        _write_model(source, tokenizer, target_dir)
    else:
        AutoConfig.from_pretrained(**source).save_pretrained(target_dir)
    tokenizer.save_pretrained(target_dir)
    mend_byte_level(target_dir)


def _write_model(source: dict[str, str], tokenizer: "PreTrainedTokenizerBase", target_dir: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    # The file's weights have 4 bits, so bfloat16 loses nothing that is there to lose, halves
    # what is read and hashed at each start, and is the fastest training dtype on CPUs that have
    # it; on others Unsloth widens to float32 as it loads.
    read = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.bfloat16)
    config = read.config
    # A model that was read from GGUF refuses to be saved, and its saved config would be taken
    # for a quantized one; a fresh model with the same weights is neither.
    del config.quantization_config
    config.eos_token_id = config.pad_token_id = tokenizer.eos_token_id
    config.bos_token_id = tokenizer.bos_token_id
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.load_state_dict(read.state_dict())
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.bos_token_id = tokenizer.bos_token_id

    model.save_pretrained(target_dir)


if __name__ == "__main__":
    convert_gguf(Path(sys.argv[1]), Path(sys.argv[2]), with_weights="--no-weights" not in sys.argv[3:])
