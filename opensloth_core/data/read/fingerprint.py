"""What the content of an input is, in a short string: equal strings, equal rows."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from opensloth_core.data.read.hub import hub_fingerprint
from opensloth_core.data.read.input_file import Format, InputFile
from opensloth_core.data.read.place import is_url
from opensloth_core.data.read.storage import storage_of
from opensloth_core.data.read.stored_bytes import StoredBytes

FileDigest = Callable[[Path], str]
"""blake2b-256 of a local file's bytes, in hex."""

_FORMATS_BY_NAME: frozenset[Format] = frozenset({"csv", "tsv", "text"})


def fingerprint(file: InputFile, file_digest: FileDigest | None = None) -> str:
    """What `InputReader.digest` will be, unless the file changes before it has been read.

    - A local file: blake2b-256 of its stored bytes.
    - A remote one: the checksum that its storage gives, or its etag (of any storage but S3 with the URL, see
      `content_tag`); where it gives neither, blake2b-256 of the bytes, for which the file is fetched.
    - A split of a hub data set: commit, configuration and split.

    Args:
        file: the file, as `find_inputs` gives it.
        file_digest: a way to know a local file's digest without reading it again.

    Raises:
        DataError: the file cannot be read.
    """
    if file.format == "hub":
        return hub_fingerprint(file)
    if file_digest and not is_url(file.url):
        return file_digest(Path(file.url))
    storage = storage_of(file.url)
    if tag := storage.content_tag(file.url):
        return tag
    with StoredBytes(storage.open(file.url), file.url) as stored:
        return stored.digest()


def input_digest(
    files: Sequence[InputFile],
    fingerprints: Sequence[str] | None = None,
    file_digest: FileDigest | None = None,
) -> str:
    """blake2b-256 over the fingerprints of files in their order, in hex.

    Names and folders do not count, except where the format comes from the name (the rows of the same bytes
    differ as csv and as text), and where a server tells of the content by nothing but an etag.

    Args:
        files: as `find_inputs` gives them.
        fingerprints: those of the files, where they are known, as after reading; asked for where not given.
        file_digest: see `fingerprint`.

    Raises:
        DataError: a file cannot be read.
    """
    if fingerprints is None:
        fingerprints = [fingerprint(file, file_digest) for file in files]
    digest = hashlib.blake2b(digest_size=32)
    for file, value in zip(files, fingerprints, strict=True):
        named = file.format if file.format in _FORMATS_BY_NAME else ""
        # A tag is whatever a server says, so its length is told before it.
        digest.update(f"{named} {len(value)} {value}\n".encode())
    return digest.hexdigest()
