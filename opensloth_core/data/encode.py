"""A chunk of raw rows as token arrays: parse, normalise, render, tokenise, mask.

A pure function of the chunk and of an `EncodeSetup`, so that any process can do it and its result can
be found again by digest. Nothing here knows how long an example may be, how many GPUs there are or
which rows are sampled.

Array names end in their shape: E examples of a chunk, T tokens of all of them, one after another. A
row gives one example, or several where its template rewrites earlier turns.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from opensloth_core.data.chunk import RawChunk
from opensloth_core.data.example import Chat, Example, Preference, Text
from opensloth_core.data.read.raw_row import RawRow, parse_row
from opensloth_core.data.render.rendered import Span
from opensloth_core.data.render.renderer import Renderer
from opensloth_core.data.render.spec import TemplateSpec
from opensloth_core.data.row import Rejected, RowError
from opensloth_core.data.shape.layout import Layout
from opensloth_core.data.shape.normalise import normalise
from opensloth_core.data.tokenize import BoolArray, IntArray, TextEncoder, tokens_before

if TYPE_CHECKING:
    from tokenizers import Encoding

    from opensloth_core.config.data import TrainOn

NOTHING_TRAINED = "nothing to train"


@dataclass(frozen=True, slots=True)
class EncodeSetup:
    """All that decides what a chunk's tokens are; may be pickled."""

    template: TemplateSpec
    train_on: "TrainOn"
    tokenizer_json: str
    """The Rust tokenizer, as `tokenizer.json` has it."""


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row of a chunk that cannot be used."""

    row: int
    """Index in the chunk."""

    reason: str
    detail: str
    num_tokens: int = 0
    """Its tokens, where it got as far as having some."""


@dataclass(frozen=True, slots=True)
class EncodedChunk:
    """The examples of a chunk.

    Attributes:
        input_ids_T: token ids.
        trained_T: which tokens are trained.
        lengths_E: tokens of each example.
        row_E: index in the chunk of the row an example comes from.
        group_E: equal for examples of rows with the same prompt.
        num_prompt_E: tokens of the prompt; 0 for SFT.
        num_chosen_E: tokens of the chosen answer, which follow those of the prompt; 0 but for DPO.
        columns_E: a GRPO row's columns as JSON text, else None.
        rejected: the rows without examples, in order.
    """

    input_ids_T: IntArray
    trained_T: BoolArray
    lengths_E: IntArray
    row_E: IntArray
    group_E: npt.NDArray[np.uint64]
    num_prompt_E: IntArray
    num_chosen_E: IntArray
    columns_E: list[str | None]
    rejected: list[RejectedRow]


@dataclass(frozen=True, slots=True)
class _Draft:
    """One example before it has tokens."""

    row: int
    group: int
    texts: tuple[str, ...]
    """Its text; two that begin with the same prompt for a preference."""

    spans: Sequence[Span] = ()
    prompt_end: int = 0
    """Characters of the prompt, where the example has one."""

    columns: str | None = None


class ChunkEncoder:
    """Encodes chunks, one after another."""

    def __init__(self, setup: EncodeSetup) -> None:
        self._renderer = Renderer(setup.template, setup.train_on)
        self._encoder = TextEncoder(setup.tokenizer_json)

    def encode(self, chunk: RawChunk) -> EncodedChunk:
        """Tokens and masks of the rows that can be used, and why the others cannot."""
        drafts: list[_Draft] = []
        rejected: list[RejectedRow] = []
        for index, raw in enumerate(chunk.rows):
            row = parse_row(raw) if isinstance(raw, RawRow) else raw
            if isinstance(row, Rejected):
                rejected.append(RejectedRow(index, row.reason, row.detail))
                continue
            try:
                drafts += self._drafts(index, normalise(row.value, _known(chunk.layout)))
            except RowError as err:
                unusable = err.rejected(0)
                rejected.append(RejectedRow(index, unusable.reason, unusable.detail))
        return self._tokenised(drafts, rejected)

    def _drafts(self, row: int, example: Example) -> list[_Draft]:
        renderer, group = self._renderer, prompt_group(example)
        if isinstance(example, Chat):
            return [_Draft(row, group, (one.text,), one.spans) for one in renderer.chat(example)]
        if isinstance(example, Text):
            one = renderer.text(example)
            return [_Draft(row, group, (one.text,), one.spans)]
        if isinstance(example, Preference):
            prompt, chosen, rejected = renderer.preference(example)
            return [_Draft(row, group, (prompt + chosen, prompt + rejected), prompt_end=len(prompt))]
        text = renderer.prompt(example)
        columns = {**example.columns, "prompt": example.prompt}
        if example.tools:
            columns["tools"] = example.tools
        return [_Draft(row, group, (text,), prompt_end=len(text), columns=_json(columns))]

    def _tokenised(self, drafts: list[_Draft], rejected: list[RejectedRow]) -> EncodedChunk:
        examples = self._examples(drafts)
        usable, rows_with_example = [], set()
        for draft, example in zip(drafts, examples, strict=True):
            if draft.columns is not None or example.trained_T.any():
                usable.append((draft, example))
                rows_with_example.add(draft.row)
        # A row whose template renders nothing of its answers, such as one of blank turns.
        for draft, example in zip(drafts, examples, strict=True):
            if draft.row not in rows_with_example:
                rows_with_example.add(draft.row)
                detail = "the template renders no text that is trained"
                rejected.append(RejectedRow(draft.row, NOTHING_TRAINED, detail, len(example.input_ids_T)))
        return EncodedChunk(
            input_ids_T=np.concatenate([np.empty(0, np.int32), *(one.input_ids_T for _, one in usable)]),
            trained_T=np.concatenate([np.empty(0, np.bool_), *(one.trained_T for _, one in usable)]),
            lengths_E=np.array([len(one.input_ids_T) for _, one in usable], dtype=np.int32),
            row_E=np.array([draft.row for draft, _ in usable], dtype=np.int32),
            group_E=np.array([draft.group for draft, _ in usable], dtype=np.uint64),
            num_prompt_E=np.array([one.num_prompt for _, one in usable], dtype=np.int32),
            num_chosen_E=np.array([one.num_chosen for _, one in usable], dtype=np.int32),
            columns_E=[draft.columns for draft, _ in usable],
            rejected=sorted(rejected, key=lambda row: row.row),
        )

    def _examples(self, drafts: Sequence[_Draft]) -> "list[_Tokens]":
        if all(draft.prompt_end == 0 for draft in drafts):
            texts, spans = [draft.texts[0] for draft in drafts], [draft.spans for draft in drafts]
            return [_Tokens(*tokens) for tokens in self._encoder.encode_trained(texts, spans)]
        encodings = iter(self._encoder.encode([text for draft in drafts for text in draft.texts]))
        return [_with_prompt(draft, [next(encodings) for _ in draft.texts]) for draft in drafts]


def prompt_group(example: Example) -> int:
    """A number that examples with the same prompt share: all before the first answer; a text's is its own."""
    if isinstance(example, Text):
        prompt: Any = example.text
    elif isinstance(example, Chat):
        roles = [turn["role"] for turn in example.messages]
        prompt = example.messages[: roles.index("assistant")] or example.messages
    else:
        prompt = example.prompt
    digest = hashlib.blake2b(_json(prompt).encode(errors="surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "little")


def _known(layout: Layout | None) -> Layout:
    assert layout is not None, "a file with a row that can be parsed has a layout"
    return layout


@dataclass(frozen=True, slots=True)
class _Tokens:
    input_ids_T: IntArray
    trained_T: BoolArray
    num_prompt: int = 0
    num_chosen: int = 0


def _with_prompt(draft: _Draft, encodings: "list[Encoding]") -> _Tokens:
    ids = [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]
    if len(ids) == 2:
        return _pair(draft, encodings, ids)
    return _Tokens(ids[0], np.zeros(len(ids[0]), dtype=np.bool_), num_prompt=len(ids[0]))


def _pair(draft: _Draft, encodings: "list[Encoding]", ids: list[IntArray]) -> _Tokens:
    """Prompt, chosen and rejected one after another, the prompt once.

    A token that straddles the border of prompt and answer belongs to the answer.
    """
    shortest = min(tokens_before(one, draft.prompt_end) for one in encodings)
    differs = np.flatnonzero(ids[0][:shortest] != ids[1][:shortest])
    num_prompt = int(differs[0]) if len(differs) else shortest
    input_ids_T = np.concatenate([ids[0], ids[1][num_prompt:]])
    trained_T = np.arange(len(input_ids_T)) >= num_prompt
    return _Tokens(input_ids_T, trained_T, num_prompt, len(ids[0]) - num_prompt)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
