"""The tokens a preparation needs: those of all rows, or of enough rows for its sample."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.input_chunks import InputChunks, num_rows
from opensloth_core.data.prepare import Preparation, SampledRows
from opensloth_core.data.read.inputs import find_inputs
from opensloth_core.data.select import row_priority
from opensloth_core.data.tokens import TokenSet
from opensloth_core.runs.events import Progress
from opensloth_core.store.single_flight import Asker
from opensloth_core.store.tokens import ALL_ROWS, find_tokens, obtain_tokens, tokenize, tokens_key

_SPARE_SHARE = 20
_SPARE_ROWS = 64
"""Rows tried beyond the sample, since some may be unusable; twice as many each time they do not do."""


def tokens_to_prepare(
    config: DatasetPrepConfig,
    model_dir: Path,
    settings: Mapping[str, str],
    input_digest: str,
    progress: Progress,
    asker: Asker,
) -> Preparation:
    """A preparation whose rows have tokens, from the store or made now.

    A sample is the same whether all rows have tokens or only those tried: a row's turn depends on its
    number, the number of rows and the seed.

    Raises:
        See `opensloth_core.store.tokens.tokenize`.
    """
    files = find_inputs(config.data, config.split)
    names = [file.name for file in files]

    def obtained(rows: str, wanted_R: npt.NDArray[np.bool_] | None = None) -> TokenSet:
        key = tokens_key(settings, input_digest, names, rows)

        def make() -> TokenSet:
            chunks = InputChunks(files, config, wanted_R)
            return tokenize(key, settings, input_digest, chunks, config, model_dir, progress)

        return obtain_tokens(key, make, asker, config.verify)

    if config.samples is None:
        return Preparation(config, obtained(ALL_ROWS), sampled=None)

    tokens, _ = find_tokens(tokens_key(settings, input_digest, names, ALL_ROWS), config.verify)
    total = tokens.num_rows if tokens else num_rows(files)
    priority_R = row_priority(total, config.seed) if config.samples_from == "random" else None
    if tokens is not None:
        return Preparation(config, tokens, SampledRows(total, priority_R))
    order = np.arange(total) if priority_R is None else np.argsort(priority_R, kind="stable")
    size = config.samples + config.samples // _SPARE_SHARE + _SPARE_ROWS
    while True:
        size = min(size, total)
        wanted_R = np.zeros(total, np.bool_)
        wanted_R[order[:size]] = True
        drawn = f"seed {config.seed}" if priority_R is not None else "head"
        rows = ALL_ROWS if size == total else f"{size} from {drawn}"
        tokens = obtained(rows, wanted_R)
        sampled = SampledRows(total, None if priority_R is None else priority_R[wanted_R])
        preparation = Preparation(config, tokens, sampled)
        if preparation.has_enough or size == total:
            return preparation
        size *= 2
