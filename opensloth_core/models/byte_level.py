"""Byte-level tokenizers that were read from a GGUF file, as they were before.

transformers gives them the byte fallback and the decoder of SentencePiece. That changes no encoding, but
llama.cpp's converter takes them for SentencePiece then, and writes a file that llama.cpp crashes on. It also
forgets that digits stand alone, by which that converter recognizes SmolLM's tokenizer.
"""

import json
import re
from pathlib import Path
from typing import Any

_FILE = "tokenizer.json"
_DIGITS = {"type": "Digits", "individual_digits": True}
_NUMBER = re.compile(r".\d|\d.")


def mend_byte_level(folder: Path) -> None:
    """Give a folder's tokenizer back what makes it byte-level; any other tokenizer stays as it is."""
    path = folder / _FILE
    if not path.is_file():
        return
    tokenizer: dict[str, Any] = json.loads(path.read_text())
    model, before = tokenizer["model"], tokenizer.get("pre_tokenizer") or {}
    if model.get("type") != "BPE" or not model.get("byte_fallback") or before.get("type") != "ByteLevel":
        return
    model["byte_fallback"] = False
    tokenizer["decoder"] = {**before, "add_prefix_space": True, "trim_offsets": True}
    # Merges were learned without any across a digit, so digits were split off when they were.
    special = {token["content"] for token in tokenizer.get("added_tokens", ())}
    if not any(_NUMBER.search(token) for token in model["vocab"] if token not in special):
        tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [_DIGITS, before]}
    path.write_text(json.dumps(tokenizer, ensure_ascii=False, indent=2) + "\n")
