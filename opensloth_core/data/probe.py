"""A quick look at an input, to refuse within moments what preparing would refuse in a while."""

import tempfile
from pathlib import Path

from opensloth_core.data.conversations import conversation_chunks
from opensloth_core.data.quarantine import Quarantine
from opensloth_core.data.read.json_rows import InputReader
from opensloth_core.data.row import Rejected

PROBE_BYTES = 8 << 20
"""Inputs up to this size are looked through whole, of larger ones only the first chunk of rows."""


def probe(path: Path, max_rejected: float) -> None:
    """Read an input as preparing does, without a tokenizer.

    Raises:
        DataError: what preparing would raise for its format, its shape or its unusable rows.
    """
    reader = InputReader(path)
    num_read = 0
    with tempfile.TemporaryDirectory() as folder, Quarantine(Path(folder), path) as quarantine:
        for chunk in conversation_chunks(reader):
            num_read += len(chunk)
            for row in chunk:
                if isinstance(row, Rejected):
                    quarantine.add(row)
            if reader.size_bytes > PROBE_BYTES:
                return
        quarantine.check(num_read, num_read - quarantine.counts.total(), max_rejected)
