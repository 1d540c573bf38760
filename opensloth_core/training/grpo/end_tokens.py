"""Which tokens end a completion."""

from collections.abc import Mapping
from typing import Any

from opensloth_core.data.render.compiled import CompiledTemplate
from opensloth_core.data.render.spec import template_spec
from opensloth_core.data.row import RowError

_WORDS = "1234567890"


def end_ids(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """The tokenizer's end token, those of the model's generation settings, and the end of a turn.

    They differ: a base model's end token is that of a text, but one that was taught by a chat template
    ends its answers as the template does.
    """
    named = model.generation_config.eos_token_id
    several = named if isinstance(named, list | tuple) else [] if named is None else [named]
    own = getattr(tokenizer, "tokenizer", tokenizer)
    found = {own.eos_token_id, *several, *turn_end_ids(own, model.config.to_dict())} - {None}
    return tuple(sorted(int(token) for token in found))


def turn_end_ids(tokenizer: Any, model_config: Mapping[str, Any]) -> tuple[int, ...]:
    """The special token that stands behind an assistant's words in the chat template, if one does.

    Args:
        tokenizer: the model's.
        model_config: its config.json.
    """
    spec = template_spec(tokenizer, model_config, chats=False)
    if not spec.source:
        return ()
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _WORDS}]
    try:
        text = CompiledTemplate(spec.source, spec.special_tokens).render(turns)
    except RowError:
        return ()  # a template of prompts alone, which ends no turns
    ids = tokenizer(text.rpartition(_WORDS)[2].lstrip(), add_special_tokens=False)["input_ids"]
    special = {token for token, added in tokenizer.added_tokens_decoder.items() if added.special}
    return tuple(token for token in ids[:1] if token in special)
