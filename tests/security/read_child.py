"""Reads a source as a run does and says how that ended: `python -m tests.security.read_child SOURCE [once]`.

One line of JSON: the error, or rows by outcome; and by how much the process grew at most.
"""

import json
import resource
import sys
from collections import Counter

import pyarrow.parquet  # noqa: F401  # what every run imports counts before the measurement

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.input_chunks import InputChunks
from opensloth_core.data.probe import probe
from opensloth_core.data.read.inputs import find_inputs
from opensloth_core.data.read.raw_row import RawRow, parse_row
from opensloth_core.data.row import Rejected
from opensloth_core.errors import OpenSlothError


def read(source: str, once: bool) -> dict[str, object]:
    """Read and parse all of an input, then look at it as preflight does, unless it is read once only."""
    config = DatasetPrepConfig.of({"data": source, "model": "embedded", "max_rejected": 1.0})
    counts: Counter[str] = Counter()
    try:
        files = find_inputs(config.data, None)
        for chunk in InputChunks(files, config):
            for raw in chunk.rows:
                row = parse_row(raw) if isinstance(raw, RawRow) else raw
                counts[row.reason if isinstance(row, Rejected) else "read"] += 1
        if not once:
            probe(files, config)
    except OpenSlothError as err:
        return {"error": f"{type(err).__name__}: {err}", "rows": counts}
    return {"error": None, "rows": counts}


def peak_bytes() -> int:
    """The most memory that this process had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


if __name__ == "__main__":
    before = peak_bytes()
    outcome = read(sys.argv[1], once="once" in sys.argv[2:])
    print(json.dumps({**outcome, "grown_bytes": peak_bytes() - before}))
