"""Segments: the parts of examples that fit the length, and what was left out for it.

Array names end in their shape: E examples, S segments.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.token_file import TokenTable
from opensloth_core.data.tokenize import IntArray

OVERLONG = "longer than max_seq_length"
TRUNCATED_AWAY = "nothing to train within max_seq_length"

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Segments:
    """Tokens `[start_S, stop_S)` of examples."""

    example_S: npt.NDArray[np.int64]
    start_S: IntArray
    stop_S: IntArray

    @property
    def lengths_S(self) -> IntArray:
        return self.stop_S - self.start_S

    def __len__(self) -> int:
        return len(self.example_S)

    def of(self, chosen_S: Mask) -> "Segments":
        """Some of them."""
        return Segments(self.example_S[chosen_S], self.start_S[chosen_S], self.stop_S[chosen_S])


@dataclass(frozen=True, slots=True)
class Fitted:
    """What of every example is used, and what is not."""

    segments: Segments
    overlong_E: Mask
    """Examples longer than a pack, whatever became of them."""

    num_truncated_E: IntArray
    """Tokens cut off."""

    num_dropped_E: IntArray
    """Tokens left out with their example, or with a part of it in which nothing is trained."""


def fit(table: TokenTable, config: DatasetPrepConfig) -> Fitted:
    """Segments of at most `max_seq_length` tokens, by what `overlong` says."""
    lengths_E, limit = table.lengths_E, config.max_seq_length
    if config.method == "dpo":
        return _fit_pairs(table, limit, config.overlong == "truncate")
    overlong_E = lengths_E > limit
    if config.overlong in ("drop", "error") or not overlong_E.any():
        return _fitted(lengths_E, ~overlong_E, lengths_E, overlong_E)
    if config.overlong == "truncate":
        stop_E = np.minimum(lengths_E, limit)
        return _fitted(lengths_E, _trains(table, _whole(stop_E)), stop_E, overlong_E)
    return _split(table, limit)


def _fitted(lengths_E: IntArray, kept_E: Mask, stop_E: IntArray, overlong_E: Mask) -> Fitted:
    return Fitted(
        segments=_whole(stop_E).of(kept_E),
        overlong_E=overlong_E,
        num_truncated_E=np.where(kept_E, lengths_E - stop_E, 0).astype(np.int32),
        num_dropped_E=np.where(kept_E, 0, lengths_E).astype(np.int32),
    )


def _whole(stop_E: IntArray) -> Segments:
    return Segments(np.arange(len(stop_E)), np.zeros(len(stop_E), np.int32), stop_E)


def _split(table: TokenTable, limit: int) -> Fitted:
    lengths_E = table.lengths_E
    pieces_E = -(-lengths_E // limit)
    example_S = np.repeat(np.arange(len(lengths_E)), pieces_E)
    piece_S = np.arange(len(example_S)) - np.repeat(np.cumsum(pieces_E) - pieces_E, pieces_E)
    start_S = (piece_S * limit).astype(np.int32)
    all_pieces = Segments(example_S, start_S, np.minimum(start_S + limit, lengths_E[example_S]))
    kept_S = _trains(table, all_pieces)
    dropped_E = np.zeros(len(lengths_E), np.int32)
    np.add.at(dropped_E, example_S[~kept_S], all_pieces.lengths_S[~kept_S])
    return Fitted(
        segments=all_pieces.of(kept_S),
        overlong_E=lengths_E > limit,
        num_truncated_E=np.zeros(len(lengths_E), np.int32),
        num_dropped_E=dropped_E,
    )


def _trains(table: TokenTable, segments: Segments) -> Mask:
    """Which segments have a token to train; their first token has nothing to be predicted from."""
    trains_S = np.ones(len(segments), np.bool_)
    lengths_E = table.lengths_E
    is_part_S = segments.lengths_S < lengths_E[segments.example_S]
    for index in np.flatnonzero(is_part_S):
        one = slice(index, index + 1)
        _, trained_T = table.gather(segments.example_S[one], segments.start_S[one], segments.stop_S[one])
        trains_S[index] = bool(trained_T[1:].any())
    return trains_S


def _fit_pairs(table: TokenTable, limit: int, truncate: bool) -> Fitted:
    """Pairs whose longer side fits; truncated ones keep both answers' beginnings."""
    lengths_E = table.lengths_E
    prompt_E = table.column("num_prompt", np.int32).astype(np.int32)
    chosen_E = table.column("num_chosen", np.int32).astype(np.int32)
    answers = (chosen_E, lengths_E - prompt_E - chosen_E)
    overlong_E = prompt_E + np.maximum(*answers) > limit
    if not truncate:
        return _fitted(lengths_E, ~overlong_E, lengths_E, overlong_E)
    kept_E = ~overlong_E | (prompt_E < limit)
    cut_E = sum(np.maximum(prompt_E + answer - limit, 0) for answer in answers)
    return Fitted(
        segments=_whole(lengths_E).of(kept_E),
        overlong_E=overlong_E,
        num_truncated_E=np.where(kept_E, cut_E, 0).astype(np.int32),
        num_dropped_E=np.where(kept_E, 0, lengths_E).astype(np.int32),
    )
