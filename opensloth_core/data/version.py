"""What the preparation code is, for cache keys: changed code must not be served old data."""

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

CODE_VERSION = "1"
"""Raise it when prepared data changes for a reason outside of this folder."""

_LIBRARIES = ("tokenizers", "transformers", "jinja2")


@cache
def preparation_digest() -> dict[str, str]:
    """Parts of a cache key: digest of this folder's modules, versions of what shapes tokens."""
    digest = hashlib.blake2b(digest_size=32)
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("*.py")):
        source = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {len(source)}\n".encode() + source)
    return {
        "code": digest.hexdigest(),
        "code_version": CODE_VERSION,
        **{library: version(library) for library in _LIBRARIES},
    }
