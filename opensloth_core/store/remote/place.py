"""Which remote store `OPENSLOTH_STORE` names, and the objects in it."""

import os

from opensloth_core.data.read.place import is_url, shown
from opensloth_core.expanded import expanded
from opensloth_core.store.remote.objects import Objects
from opensloth_core.store.remote.reaching import RemoteStoreError, reaching

VARIABLE = "OPENSLOTH_STORE"

_LOCAL = ("file://", "local://")


def store_url() -> str | None:
    """What `OPENSLOTH_STORE` says; None where it is not set, and this machine's store is all there is."""
    return os.environ.get(VARIABLE, "").strip() or None


def open_objects(url: str) -> Objects:
    """The objects behind a URL of fsspec, or in a folder that machines share.

    Whether the store can be reached shows with the first thing asked of it.

    Raises:
        RemoteStoreError: the URL has a form or a protocol that cannot be used, or its package is missing.
    """
    if not is_url(url) or url.startswith(_LOCAL):
        from opensloth_core.store.remote.folder import FolderObjects

        return FolderObjects(expanded(url.partition("://")[2] if is_url(url) else url).absolute())
    protocol, _, path = url.partition("://")
    if "::" in url:
        raise RemoteStoreError(f"{VARIABLE} {shown(url)}: a chain of URLs cannot be a store; name one place")
    with reaching(url):
        if protocol not in ("s3", "s3a"):
            from opensloth_core.store.remote.fsspec_objects import FsspecObjects

            return FsspecObjects(url)
        if "@" in path.partition("/")[0]:
            raise RemoteStoreError(
                f"{VARIABLE} {shown(url)}: S3 takes no credentials in the URL; set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY"
            )
        from opensloth_core.store.remote.s3 import S3Objects

        return S3Objects(url)
