"""Model families: which one a model is of, and the template of those whose tokenizer brings none.

What a template does (default system prompt, thinking, tools, rewritten turns) is not in the table: it
is read off the template itself (see traits.py), so a fine-tune with a template of its own is never
treated as what its name says.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from opensloth_core.errors import ModelError

OWN = "generic"
"""Family of a model that is of none in the table and brings its own template."""

_CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")
_GEMMA_TOKENS = ("<start_of_turn>", "<end_of_turn>")

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
PHI_4 = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '<|im_sep|>' + message['content'] + '<|im_end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% set first = 1 if messages[0]['role'] == 'system' else 0 %}"
    "{% for message in messages[first:] %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('after a system turn, roles must alternate user/assistant/user/assistant/...') }}"
    "{% endif %}"
    "{% if message['role'] == 'user' %}"
    "{{ '[INST] ' + (messages[0]['content'] + '\n\n' if first and loop.first else '')"
    " + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'] + eos_token }}"
    "{% else %}{{ raise_exception('only user and assistant turns are known') }}{% endif %}{% endfor %}"
)


@dataclass(frozen=True, slots=True)
class Family:
    """A row of the table; several rows may share a name."""

    name: str
    model_types: str
    """`model_type`s of its configs, as patterns between spaces."""

    tokens: tuple[str, ...]
    """Special tokens its template writes; all must be in the vocabulary."""

    template: str
    """For tokenizers without one: a file of TRL's (`qwen3.jinja`), or a template."""

    names: str = ""
    """What its models are called, as patterns between spaces; asked last."""

    by_tokens: bool = False
    """Whether no other family has these tokens, so that they alone tell it."""


FAMILIES = (
    Family("qwen", "qwen3*", _CHATML_TOKENS, "qwen3.jinja", "*qwen3*"),
    Family("qwen", "qwen*", _CHATML_TOKENS, "qwen2_5.jinja", "*qwen* *qwq*"),
    Family("gemma", "gemma4*", ("<|turn>", "<turn|>"), "gemma4_v5.jinja", "*gemma-4* *gemma4*", True),
    Family("gemma", "gemma3*", _GEMMA_TOKENS, "gemma3.jinja", "*gemma-3* *gemma3*"),
    Family("gemma", "gemma*", _GEMMA_TOKENS, "gemma.jinja", "*gemma*", True),
    Family(
        "llama3",
        "llama mllama",
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        "llama3.jinja",
        "*llama-3* *llama3*",
        True,
    ),
    Family("phi", "phi3* phimoe", ("<|user|>", "<|assistant|>", "<|end|>"), "phi3.jinja", "*phi-3* *phi3*"),
    Family("phi", "phi*", (*_CHATML_TOKENS, "<|im_sep|>"), PHI_4, "*phi-4* *phi4*", True),
    Family("mistral", "mistral* ministral* mixtral", ("[INST]", "[/INST]"), MISTRAL, "*mi?tral*", True),
    Family("chatml", "smollm*", _CHATML_TOKENS, CHATML, "*smollm*", True),
)


def family_of(
    model_type: str, has_token: Callable[[str], bool], model_name: str, bring_template: bool
) -> Family | None:
    """The row that fits a model best: by its config, else by its tokens, else by its name.

    Args:
        model_type: the config's; empty when it has none.
        has_token: whether the vocabulary has a token.
        model_name: folder or hub id.
        bring_template: whether the tokenizer brings a template, so that a row's tokens may be missing
            where the config or the name tells the family.
    """
    complete = [row for row in FAMILIES if all(map(has_token, row.tokens))]
    usable = [*complete, *(FAMILIES if bring_template else ())]
    by_config = (row for row in usable if _matches(model_type.lower(), row.model_types))
    by_tokens = (row for row in complete if row.by_tokens)
    by_name = (row for row in usable if _matches(Path(model_name).name.lower(), row.names))
    # Many architectures are called "llama": there a row's tokens decide, never the config alone.
    by_config = (row for row in by_config if row in complete or "llama" not in row.model_types)
    return next(by_config, None) or next(by_tokens, None) or next(by_name, None)


def family_by_config(model_type: str, model_name: str) -> str | None:
    """The family's name without a look at the tokenizer: by the config, else by the model's name."""
    if model_type:
        rows = [row for row in FAMILIES if _matches(model_type.lower(), row.model_types)]
    else:
        rows = [row for row in FAMILIES if _matches(Path(model_name).name.lower(), row.names)]
    return rows[0].name if rows else None


def template_source(family: Family) -> str:
    """The row's template.

    Raises:
        ModelError: TRL, which ships it, is not installed.
    """
    return trl_template(family.template) if family.template.endswith(".jinja") else family.template


TRAINING_VARIANTS = {"deepseek_r1_distill.jinja": "deepseek_r1_distill_training.jinja"}
"""Templates that drop the thinking even of the last turn, and the variants that render it."""


def training_variant(source: str) -> str | None:
    """The variant that TRL ships for a template; None where training needs none."""
    for original, variant in TRAINING_VARIANTS.items():
        if source.strip() == trl_template(original).strip():
            return trl_template(variant)
    return None


@cache
def trl_template(file_name: str) -> str:
    """A chat template that TRL ships (Apache-2.0), read without importing TRL.

    Source: https://github.com/huggingface/trl/tree/v1.15.0/trl/chat_templates
    """
    spec = find_spec("trl")
    if spec is None or spec.origin is None:
        raise ModelError(
            f"the chat template {file_name} comes with TRL, which is not installed; pip install trl"
        )
    return (Path(spec.origin).parent / "chat_templates" / file_name).read_text(encoding="utf-8")


def _matches(value: str, patterns: str) -> bool:
    return bool(value) and any(fnmatchcase(value, pattern) for pattern in patterns.split())
