"""A chunk of conversations as token arrays: render, tokenise, mask. A pure function of the chunk."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from opensloth_core.data.render.template import ChatTemplate
from opensloth_core.data.row import Rejected, RowError
from opensloth_core.data.shape.message import Message
from opensloth_core.data.tokenize import BoolArray, IntArray, TextEncoder, trained_tokens

if TYPE_CHECKING:
    from tokenizers import Encoding

OVERLONG = "longer than max_seq_length"
NOTHING_TRAINED = "nothing to train"


@dataclass(frozen=True, slots=True)
class Conversation:
    """The messages of the row at `line`."""

    line: int
    messages: list[Message]


@dataclass(frozen=True, slots=True)
class EncodedChunk:
    """The usable conversations of a chunk: R of them, T tokens in all, one after another.

    Attributes:
        input_ids_T: token ids.
        trained_T: which tokens are trained.
        lengths_R: tokens of each conversation.
        positions_R: which conversation of the chunk each one is.
        rejected: the others.
        num_tokens_dropped: tokens of those others that got as far as having tokens.
    """

    input_ids_T: IntArray
    trained_T: BoolArray
    lengths_R: IntArray
    positions_R: IntArray
    rejected: list[Rejected]
    num_tokens_dropped: int


def encode_chunk(
    chunk: Sequence[Conversation], template: ChatTemplate, encoder: TextEncoder, max_seq_length: int
) -> EncodedChunk:
    """Tokens and masks of the conversations that the template takes and that are short enough."""
    rejected: list[Rejected] = []
    rendered: list[tuple[int, str]] = []
    for position, conversation in enumerate(chunk):
        try:
            rendered.append((position, template.render(conversation.messages)))
        except RowError as err:
            rejected.append(err.rejected(conversation.line))

    input_ids: list[IntArray] = []
    trained: list[BoolArray] = []
    positions: list[int] = []
    num_tokens_dropped = 0
    encodings = encoder.encode([text for _, text in rendered])
    for (position, text), encoding in zip(rendered, encodings, strict=True):
        try:
            trained_T = _trained(chunk[position].messages, text, encoding, template, max_seq_length)
        except RowError as err:
            rejected.append(err.rejected(chunk[position].line))
            num_tokens_dropped += len(encoding)
        else:
            input_ids.append(np.array(encoding.ids, dtype=np.int32))
            trained.append(trained_T)
            positions.append(position)
    return EncodedChunk(
        input_ids_T=np.concatenate([np.empty(0, np.int32), *input_ids]),
        trained_T=np.concatenate([np.empty(0, np.bool_), *trained]),
        lengths_R=np.array([len(ids) for ids in input_ids], dtype=np.int32),
        positions_R=np.array(positions, dtype=np.int32),
        rejected=rejected,
        num_tokens_dropped=num_tokens_dropped,
    )


def _trained(
    messages: list[Message], text: str, encoding: "Encoding", template: ChatTemplate, max_seq_length: int
) -> BoolArray:
    # Before the spans: they cost a rendering per turn, which a conversation of any length could ask for.
    if len(encoding) > max_seq_length:
        raise RowError(OVERLONG, f"{len(encoding)} tokens > {max_seq_length}")
    trained_T = trained_tokens(encoding, template.spans(messages, text), len(text))
    if not trained_T.any():
        raise RowError(NOTHING_TRAINED, "the template renders no assistant text")
    return trained_T
