"""A tokenizer's chat template with what rendering needs of the tokenizer: found once, sent to workers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opensloth_core.data.render.families import OWN, family_of, template_source, training_variant
from opensloth_core.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NO_TEMPLATE = (
    "its tokenizer has no chat template and is of no family whose template is known ({families}); take the "
    "instruct variant of the model, put a chat_template.jinja into a copy of its folder, or train plain text"
)


@dataclass(frozen=True, slots=True)
class TemplateSpec:
    """What a renderer needs, and all of it: equal specs render equally."""

    name: str = field(compare=False)
    """The model's folder or hub id, for messages."""

    family: str
    """A name of the family table, or "generic"."""

    origin: str
    """Where the template is from: "tokenizer", or "family" where the tokenizer has none."""

    source: str
    """The Jinja template; empty where there is none, so that only plain text can be rendered."""

    tool_source: str
    """The one for conversations with tools; mostly the same."""

    training_source: str | None
    """A variant that renders the thinking which `source` drops even from the last turn."""

    special_tokens: dict[str, Any]
    """What templates are rendered with, such as bos_token."""

    turn_ends: tuple[str, ...]
    """Special tokens, any of which may end a turn."""

    text_start: str
    """What the tokenizer puts before plain text: its BOS, or nothing."""

    text_end: str
    """The end of plain text: EOS, or nothing where there is none."""

    @property
    def eos_token(self) -> str:
        """The tokenizer's EOS; empty where it has none."""
        return str(self.special_tokens.get("eos_token") or "")

    @property
    def key(self) -> dict[str, Any]:
        """Parts of a cache key: all that decides what is rendered."""
        return {
            name: getattr(self, name)
            for name in ("family", "origin", "source", "tool_source", "training_source", "special_tokens")
        } | {"turn_ends": list(self.turn_ends), "text_start": self.text_start, "text_end": self.text_end}


def template_spec(
    tokenizer: "PreTrainedTokenizerBase", model_config: Mapping[str, Any], *, chats: bool = True
) -> TemplateSpec:
    """The tokenizer's own template, else that of the model's family.

    Args:
        tokenizer: the model's.
        model_config: its config.json; may be empty.
        chats: False where only plain text is rendered, which needs no template.

    Raises:
        ModelError: there is no template, it is broken, or it is for multimodal contents only.
    """
    name = str(tokenizer.name_or_path)
    source, tool_source = _own_sources(tokenizer, name)
    family = family_of(
        str(model_config.get("model_type") or ""), _vocabulary(tokenizer), name, bring_template=bool(source)
    )
    origin = "tokenizer" if source or family is None else "family"
    if family is not None and not source:
        source = tool_source = template_source(family)
    if not source and chats:
        raise ModelError(f"{name}: {NO_TEMPLATE.format(families=_family_names())}")
    eos_token = str(tokenizer.eos_token or "")
    spec = TemplateSpec(
        name=name,
        family=family.name if family else OWN,
        origin=origin,
        source=source,
        tool_source=tool_source,
        training_source=training_variant(source) if source else None,
        special_tokens={key: _plain(value) for key, value in tokenizer.special_tokens_map.items()},
        turn_ends=_turn_ends(tokenizer, eos_token),
        text_start=_text_start(tokenizer),
        text_end=eos_token,
    )
    if chats:
        _check(spec)
    return spec


def _own_sources(tokenizer: "PreTrainedTokenizerBase", name: str) -> tuple[str, str]:
    if not tokenizer.chat_template:
        return "", ""
    try:
        source, for_tools = tokenizer.get_chat_template(), tokenizer.get_chat_template(tools=[])
    except ValueError as err:
        raise ModelError(
            f"{name}: it has several chat templates and none called default; keep one chat_template.jinja"
        ) from err
    return str(source), str(for_tools)


def _vocabulary(tokenizer: "PreTrainedTokenizerBase") -> Any:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return tokenizer.get_vocab().__contains__
    return lambda token: backend.token_to_id(token) is not None


def _turn_ends(tokenizer: "PreTrainedTokenizerBase", eos_token: str) -> tuple[str, ...]:
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    return tuple(sorted(special | {eos_token} - {""}))


def _text_start(tokenizer: "PreTrainedTokenizerBase") -> str:
    ids, bare = tokenizer("a")["input_ids"], tokenizer("a", add_special_tokens=False)["input_ids"]
    adds_bos = tokenizer.bos_token_id is not None and ids[:1] == [tokenizer.bos_token_id] and ids != bare
    return str(tokenizer.bos_token) if adds_bos else ""


def _plain(value: Any) -> Any:
    return [str(item) for item in value] if isinstance(value, list | tuple) else str(value)


def _check(spec: TemplateSpec) -> None:
    from opensloth_core.data.render.compiled import compiled
    from opensloth_core.data.render.traits import check_renders_text

    template = compiled(spec.name, spec.source, spec.special_tokens)
    compiled(spec.name, spec.tool_source, spec.special_tokens)
    check_renders_text(template, spec.name)


def _family_names() -> str:
    from opensloth_core.data.render.families import FAMILIES

    return ", ".join(dict.fromkeys(family.name for family in FAMILIES))
