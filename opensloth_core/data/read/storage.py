"""Where files are: on local disks, or behind a URL."""

from typing import BinaryIO, Literal, Protocol

from opensloth_core.data.read.place import is_url

Kind = Literal["file", "folder"]


class Storage(Protocol):
    """Finds and opens files by location: a path, or a URL.

    Every method raises DataError where the location cannot be read.
    """

    def kind(self, location: str) -> Kind | None:
        """What is at a location; None where nothing is."""

    def files_under(self, folder: str) -> dict[str, str]:
        """Location of each file in a folder and its sub-folders, by its relative path."""

    def matches(self, pattern: str) -> list[str]:
        """Locations of the files and folders that a glob matches, in any order."""

    def size_bytes(self, location: str) -> int:
        """Stored size of a file; 0 where the storage does not say."""

    def content_tag(self, location: str) -> str | None:
        """What the storage says of a file's content, such as its etag, asked anew; None where it does not."""

    def open(self, location: str, random_access: bool = False) -> BinaryIO:
        """The stored bytes, unbuffered where they are local."""


def storage_of(source: str) -> Storage:
    """The storage of a source.

    Raises:
        DataError: a URL whose protocol is unknown or needs a package that is missing.
    """
    if not is_url(source):
        from opensloth_core.data.read.local_storage import LocalStorage

        return LocalStorage()
    from opensloth_core.data.read.remote_storage import RemoteStorage

    return RemoteStorage(source)
