"""What the name of a file says: its format where the content cannot tell, and whether it is data."""

import re
from pathlib import PurePosixPath
from typing import Literal

NamedFormat = Literal["csv", "tsv", "text"]

NAMED_FORMATS: dict[str, NamedFormat] = {".csv": "csv", ".tsv": "tsv", ".txt": "text", ".text": "text"}

_SELF_DESCRIBING = frozenset(
    {".json", ".jsonl", ".ndjson", ".jsonlines", ".parquet", ".pq", ".arrow", ".feather"}
)
_COMPRESSED = frozenset({".gz", ".gzip", ".zst", ".zstd", ".xz", ".bz2"})
_ABOUT_DATA = frozenset(
    {
        "changelog",
        "citation",
        "dataset_dict",
        "dataset_info",
        "dataset_infos",
        "licence",
        "license",
        "notice",
        "readme",
        "requirements",
        "state",
    }
)
_GLOB = re.compile(r"[*?\[]")
_UP_TO_GLOB = re.compile(r"[^*?\[]*/")


def named_format(name: str) -> NamedFormat | None:
    """The format that a name such as `a.csv` or `a.csv.gz` gives; None where the content tells it."""
    return NAMED_FORMATS.get(_suffix(name))


def is_data_name(relative: str) -> bool:
    """Whether a file of a folder is data by its name.

    Hidden files, README, LICENSE and the like, the descriptions that data sets bring with them and
    files of other kinds are not.
    """
    parts = PurePosixPath(relative).parts
    if any(part.startswith((".", "__")) for part in parts):
        return False
    if parts[-1].split(".")[0].lower() in _ABOUT_DATA:
        return False
    suffix = _suffix(parts[-1])
    return suffix in _SELF_DESCRIBING or suffix in NAMED_FORMATS


def has_glob(source: str) -> bool:
    """Whether a path or URL holds a wild card; a `?` of an http address starts its query."""
    pattern = source.split("?")[0] if source.startswith(("http://", "https://")) else source
    return bool(_GLOB.search(pattern))


def up_to_glob(pattern: str) -> str:
    """The folder in front of the first wild card."""
    start = _UP_TO_GLOB.match(pattern.partition("::")[0])
    return start[0] if start else ""


def _suffix(name: str) -> str:
    path = PurePosixPath(name.lower())
    return PurePosixPath(path.stem).suffix if path.suffix in _COMPRESSED else path.suffix
