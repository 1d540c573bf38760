"""One input file to packed shards: the whole preparation, chunk by chunk.

    rows -> messages -> text -> tokens + mask -> tokens file -> packs -> shards
    `-------------- a chunk of rows at a time ---------------'  `- lengths -'

What grows with the input is on disk, except the lengths of the examples and the numbers of the
packs they are in.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.conversations import conversation_chunks
from opensloth_core.data.encode import encode_chunk
from opensloth_core.data.ledger import Ledger
from opensloth_core.data.pack import pack
from opensloth_core.data.quarantine import Quarantine
from opensloth_core.data.read.json_rows import InputReader
from opensloth_core.data.render.template import ChatTemplate
from opensloth_core.data.row import Rejected
from opensloth_core.data.sample import Sample
from opensloth_core.data.shard import WrittenPacks, write_shards
from opensloth_core.data.throttle import Throttled
from opensloth_core.data.token_file import TokenFile, TokenWriter
from opensloth_core.data.tokenize import TextEncoder
from opensloth_core.runs.events import Progress, no_progress

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LEDGER_FILE = "ledger.json"

_TOKENS_FILE = "tokens.arrow.tmp"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A folder of prepared data.

    Attributes:
        ledger: where the rows and tokens went.
        input_digest: blake2b-256 of the input's bytes as they were read, in hex.
        shards: file names, by rank.
    """

    ledger: Ledger
    input_digest: str
    shards: list[str]


def prepare_into(
    folder: Path,
    config: DatasetPrepConfig,
    num_shards: int,
    tokenizer: "PreTrainedTokenizerBase",
    progress: Progress = no_progress,
) -> Prepared:
    """Fill `folder` with `num_shards` shards, packs.arrow, rejected.jsonl and ledger.json.

    Progress has three phases: "tokenize" in bytes of the input, "pack" in examples and "write" in
    packs. On an error the folder is left half-filled; it is the caller's to throw away.

    Raises:
        DataError: the input cannot be read, has no usable row or too many unusable ones.
        ModelError: the tokenizer has no chat template, or gives no offsets.
    """
    progress = Throttled(progress)
    folder.mkdir(parents=True, exist_ok=True)
    tokens_path = folder / _TOKENS_FILE
    try:
        tokenized = _tokenize(tokens_path, folder, config, tokenizer, progress)
        tokens = TokenFile(tokens_path)
        kept = tokenized.sample.kept()
        progress("pack", 0, len(kept))
        lengths = tokens.lengths[kept]
        packs = [kept[members].tolist() for members in pack(lengths, config.max_seq_length)]
        progress("pack", len(kept), len(kept))
        written = write_shards(folder, packs, tokens, config.max_seq_length, num_shards, progress)
    finally:
        tokens_path.unlink(missing_ok=True)
    ledger = _ledger(config, tokenized, len(kept), written)
    (folder / LEDGER_FILE).write_text(ledger.model_dump_json(indent=2) + "\n")
    return Prepared(ledger=ledger, input_digest=tokenized.input_digest, shards=written.shards)


@dataclass(frozen=True, slots=True)
class _Tokenized:
    input_digest: str
    sample: Sample
    num_read: int
    num_not_sampled: int
    num_tokens_dropped: int
    rejected: dict[str, int]


def _tokenize(
    tokens_path: Path,
    folder: Path,
    config: DatasetPrepConfig,
    tokenizer: "PreTrainedTokenizerBase",
    progress: Progress,
) -> _Tokenized:
    """Write the tokens of every row that may be in the sample."""
    template, encoder = ChatTemplate(tokenizer), TextEncoder(tokenizer)
    reader = InputReader(Path(config.data[0]))
    sample = Sample(config.samples, config.seed)
    num_read = num_usable = num_passed_over = num_tokens_dropped = 0
    with Quarantine(folder, reader.path) as quarantine, TokenWriter(tokens_path) as writer:
        for chunk in conversation_chunks(reader):
            num_read += len(chunk)
            conversations, numbers, rejected = [], [], []
            for conversation in chunk:
                if isinstance(conversation, Rejected):
                    rejected.append(conversation)
                elif (number := sample.draw()) is None:
                    num_passed_over += 1
                else:
                    conversations.append(conversation)
                    numbers.append(number)
            encoded = encode_chunk(conversations, template, encoder, config.max_seq_length)
            for unusable in sorted([*rejected, *encoded.rejected], key=lambda row: row.line):
                quarantine.add(unusable)
            for position in encoded.positions_R:
                sample.add(numbers[position])
            writer.append(encoded.input_ids_T, encoded.trained_T, encoded.lengths_R)
            num_usable += len(encoded.positions_R)
            num_tokens_dropped += encoded.num_tokens_dropped
            progress("tokenize", reader.bytes_read, reader.size_bytes)
        quarantine.check(num_read, num_usable, config.max_rejected)
    return _Tokenized(
        input_digest=reader.digest,
        sample=sample,
        num_read=num_read,
        num_not_sampled=num_passed_over + num_usable - len(sample.kept()),
        num_tokens_dropped=num_tokens_dropped,
        rejected=dict(quarantine.counts),
    )


def _ledger(config: DatasetPrepConfig, tokenized: _Tokenized, num_kept: int, written: WrittenPacks) -> Ledger:
    num_tokens = int(written.num_tokens_P.sum())
    num_trained = int(written.num_trained_P.sum())
    num_packs = len(written.num_tokens_P)
    cells = num_packs * config.max_seq_length
    ledger = Ledger(
        rows_read=tokenized.num_read,
        rows_kept=num_kept,
        rows_rejected=tokenized.rejected,
        rows_not_sampled=tokenized.num_not_sampled,
        samples_asked=config.samples,
        tokens_in=num_tokens + tokenized.num_tokens_dropped,
        tokens_trained=num_trained,
        tokens_masked=num_tokens - num_trained,
        tokens_dropped=tokenized.num_tokens_dropped,
        packs=num_packs,
        pack_length=config.max_seq_length,
        cells=cells,
        padding=cells - num_tokens,
    )
    ledger.check()
    return ledger
