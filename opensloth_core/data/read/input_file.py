"""One file of the input, or one split of a hub data set."""

from dataclasses import dataclass
from typing import Literal

Format = Literal["json", "json-array", "csv", "tsv", "text", "parquet", "arrow", "arrow-stream", "hub"]
"""`json` is one object a line; `arrow` is the file format of Arrow, `arrow-stream` its other one."""

Compression = Literal["gz", "zst", "xz", "bz2"]

RANDOM_ACCESS: frozenset[Format] = frozenset({"parquet", "arrow"})
"""Formats that are read from their end."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """Where rows come from, found by `find_inputs`.

    Attributes:
        url: a local path, a URL, or the id of a hub data set.
        name: what messages about rows call it: its base name, without folder or query.
        format: how its content is laid out.
        compression: what the content is packed with.
        size_bytes: stored size; 0 where it is not known.
        config: configuration of a hub data set.
        revision: commit of a hub data set.
        split: split of a hub data set.
    """

    url: str
    name: str
    format: Format
    compression: Compression | None = None
    size_bytes: int = 0
    config: str | None = None
    revision: str | None = None
    split: str | None = None
