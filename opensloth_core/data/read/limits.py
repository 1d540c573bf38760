"""How much a run may read: a few megabytes of an archive may unpack to what fills a disk.

`OPENSLOTH_MAX_INPUT_BYTES` bounds both what the files of a run hold in sum and what each of them unpacks to.
Where it is not set, runs that a server started read 100 GB, and those of the command line all there is.
"""

import os
from collections.abc import Iterator, Sequence

from opensloth_core.checks.roots import is_confined
from opensloth_core.data.read.input_file import InputFile
from opensloth_core.data.read.place import shown
from opensloth_core.data.read.raw_row import RawRow
from opensloth_core.data.row import Rejected
from opensloth_core.errors import ConfigError, DataError

VARIABLE = "OPENSLOTH_MAX_INPUT_BYTES"
CONFINED_BYTES = 100_000_000_000


def max_input_bytes() -> int | None:
    """The limit; None where there is none.

    Raises:
        ConfigError: it is no number.
    """
    text = os.environ.get(VARIABLE, "")
    if not text:
        return CONFINED_BYTES if is_confined() else None
    if not text.isdecimal():
        raise ConfigError(f"{VARIABLE} {text}: must be a number of bytes, such as {CONFINED_BYTES}")
    return int(text)


def check_size(files: Sequence[InputFile]) -> None:
    """Refuse files that hold more than the limit in sum.

    Raises:
        DataError: they do.
    """
    limit, size = max_input_bytes(), sum(file.size_bytes for file in files)
    if limit is not None and size > limit:
        raise DataError(
            f"the data holds {size:,} bytes, more than the {limit:,} that {VARIABLE} allows; give less, "
            "or set it"
        )


def within_limit(rows: Iterator[RawRow | Rejected], url: str) -> Iterator[RawRow | Rejected]:
    """The rows of a file, as long as what they were unpacked to is within the limit.

    Raises:
        DataError: it is more.
    """
    limit = max_input_bytes()
    return rows if limit is None else _counted(rows, limit, url)


def _counted(rows: Iterator[RawRow | Rejected], limit: int, url: str) -> Iterator[RawRow | Rejected]:
    size = 0
    for row in rows:
        # A blank or a bad row takes time and space too.
        size += len(row.source) if isinstance(row, RawRow) else 1
        if size > limit:
            raise DataError(
                f"{shown(url)}: unpacks to more than the {limit:,} bytes that {VARIABLE} allows; give less, "
                "or set it"
            )
        yield row
