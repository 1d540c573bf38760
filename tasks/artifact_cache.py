"""Prefect's task cache over our artifact store.

The key is computed in the flow, before the task: an exception inside `compute_key` would silently turn
caching off. A hit is checked against the artifact itself: Prefect reads the result record through
`VerifiedRecords`, whose read fails when the artifact is missing or damaged, and takes a failed read
for a miss. Prefect swallows every exception there, so a test proves that hits happen.
"""

import asyncio
from pathlib import Path
from typing import Any

from prefect.cache_policies import CachePolicy
from prefect.context import TaskRunContext
from prefect.filesystems import LocalFileSystem
from pydantic import PrivateAttr

from opensloth_core.errors import StoreError
from opensloth_core.store.home import home_dir
from opensloth_core.store.prepared import find_prepared
from tasks.manifest_serializer import ManifestSerializer, check_record


class ArtifactKey(CachePolicy):
    """A cache policy whose key is known beforehand."""

    def __init__(self, key: str, verify: bool = False) -> None:
        super().__init__(key_storage=VerifiedRecords(basepath=str(records_dir()), in_full=verify))
        self.key = key

    def compute_key(
        self,
        task_ctx: TaskRunContext,
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],
        **kwargs: Any,
    ) -> str:
        """The artifact's key, whatever the task's inputs are called."""
        return self.key


class VerifiedRecords(LocalFileSystem):
    """Result records, readable only while the artifact they stand for is whole."""

    _block_type_slug = "opensloth-verified-records"

    in_full: bool = False
    """Whether every byte of an artifact is read, once, or its files count by existence and size."""

    _read_in_full: set[str] = PrivateAttr(default_factory=set)

    def read_path(self, path: str, _sync: bool | None = None) -> bytes:  # type: ignore[override]
        """The record at `path`, whose name is the artifact's key.

        Raises:
            StoreError: the artifact is missing or damaged.
        """
        key = Path(path).name
        content = self._resolve_path(path).read_bytes()
        # Prefect reads a record twice, to see whether it is there and to have it.
        manifest, problem = find_prepared(key, self.in_full and key not in self._read_in_full)
        if manifest is None:
            raise StoreError(f"{path}: {problem or 'no such artifact'}")
        self._read_in_full.add(key)
        check_record(content, Path(path))
        # A task that fails leaves a record too, and its words as the result.
        ManifestSerializer().loads((results_dir() / key).read_bytes())
        return content

    async def aread_path(self, path: str) -> bytes:
        """See `read_path`."""
        return await asyncio.to_thread(self.read_path, path)


def records_dir() -> Path:
    """Where Prefect keeps which task runs have results."""
    return home_dir() / "store" / "records"


def results_dir() -> Path:
    """Where Prefect keeps the results themselves: small JSON manifests, never rows."""
    return home_dir() / "store" / "results"
